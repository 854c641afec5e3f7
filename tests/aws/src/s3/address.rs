//! Objects by the URLs that the internet knows them by.

use percent_encoding::percent_decode_str;

/// Where an object is: `https://BUCKET.s3.REGION.amazonaws.com/KEY`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct S3Address {
    pub(crate) bucket: String,
    pub(crate) region: String,
    pub(crate) key: String,
}

impl S3Address {
    /// Reads a regional name of S3, with the bucket in it or first in the path. `None`: any other name.
    pub(crate) fn parse(host: &str, path: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let rest = host.strip_suffix(".amazonaws.com")?;
        let path = path.split('?').next().unwrap_or_default();
        let path = path.strip_prefix('/').unwrap_or(path);
        let (bucket, region, key) = if let Some(region) = rest.strip_prefix("s3.") {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            (bucket, region, key)
        } else {
            let (bucket, region) = rest.rsplit_once(".s3.")?;
            (bucket, region, path)
        };
        let is_region = !region.is_empty() && !region.contains('.');
        is_region.then(|| Self {
            bucket: bucket.to_owned(),
            region: region.to_owned(),
            key: percent_decode_str(key).decode_utf8_lossy().into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::S3Address;

    #[test]
    fn the_bucket_stands_in_the_name_or_in_the_path() {
        let expected = S3Address {
            bucket: "markers".to_owned(),
            region: "eu-west-1".to_owned(),
            key: "shop/a b".to_owned(),
        };
        for (host, path) in [
            ("markers.s3.eu-west-1.amazonaws.com", "/shop/a%20b"),
            ("Markers.S3.eu-west-1.amazonaws.com", "shop/a%20b?x=1"),
            ("s3.eu-west-1.amazonaws.com", "/markers/shop/a%20b"),
        ] {
            assert_eq!(S3Address::parse(host, path).as_ref(), Some(&expected), "{host}{path}");
        }
    }

    #[test]
    fn other_names_are_not_of_a_region() {
        for host in ["s3.amazonaws.com", "example.com", "s3.a.b.amazonaws.com", "ec2.eu-west-1.amazonaws.com"]
        {
            assert_eq!(S3Address::parse(host, "/markers/shop"), None, "{host}");
        }
    }
}
