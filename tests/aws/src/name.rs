//! Domain names as Route 53 writes and orders them.

use hickory_proto::rr::Name;
use std::cmp::Ordering;
use std::fmt;

const LONGEST_LABEL: usize = 63;
/// Of a name on the wire, with a length before each label and the root's at the end.
const LONGEST_NAME: usize = 255;

/// A name below the root, in lower case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DomainName {
    labels: Vec<Vec<u8>>,
}

impl DomainName {
    /// Reads a name with or without its last dot; `\052` is an octet in octal.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_suffix('.').unwrap_or(text).as_bytes();
        let mut labels = Vec::new();
        let mut label = Vec::new();
        while let Some((byte, tail)) = rest.split_first() {
            rest = tail;
            match *byte {
                b'.' => labels.push(std::mem::take(&mut label)),
                b'\\' => {
                    let (escaped, tail) = read_octal(rest)?;
                    label.push(escaped.to_ascii_lowercase());
                    rest = tail;
                }
                byte => label.push(byte.to_ascii_lowercase()),
            }
        }
        labels.push(label);
        let length: usize = labels.iter().map(|label| label.len() + 1).sum();
        let is_good = labels.iter().all(|label| (1..=LONGEST_LABEL).contains(&label.len()));
        (is_good && length < LONGEST_NAME).then_some(Self { labels })
    }

    pub(crate) fn from_wire(name: &Name) -> Self {
        Self { labels: name.iter().map(<[u8]>::to_ascii_lowercase).collect() }
    }

    pub(crate) fn to_wire(&self) -> Option<Name> {
        Name::from_labels(self.labels.iter().map(Vec::as_slice)).ok()
    }

    /// Whether it is the other name, or one below it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.labels.ends_with(&other.labels)
    }

    /// The name that it stands right below.
    pub(crate) fn parent(&self) -> Option<Self> {
        let (_, rest) = self.labels.split_first()?;
        (!rest.is_empty()).then(|| Self { labels: rest.to_vec() })
    }

    /// The wildcard right below it.
    pub(crate) fn wildcard(&self) -> Self {
        let mut labels = vec![b"*".to_vec()];
        labels.extend_from_slice(&self.labels);
        Self { labels }
    }

    /// As `com.example.www.`: Route 53 orders by this text, in which a hyphen comes before a dot.
    fn reversed(&self) -> impl Iterator<Item = u8> {
        self.labels.iter().rev().flat_map(|label| label.iter().copied().chain([b'.']))
    }
}

/// Reads the three digits after a backslash, and returns what follows them.
pub(crate) fn read_octal(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk::<3>()?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u8::from_str_radix(digits, 8).ok()?, rest))
}

impl Ord for DomainName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.reversed().cmp(other.reversed()).then_with(|| self.labels.cmp(&other.labels))
    }
}

impl PartialOrd for DomainName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for label in &self.labels {
            for byte in label {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
                    write!(f, "{}", char::from(*byte))?;
                } else {
                    write!(f, "\\{byte:03o}")?;
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}
