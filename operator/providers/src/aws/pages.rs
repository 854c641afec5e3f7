//! Lists that AWS gives page by page.

use super::{Action, CallError};
use muster_core::facts::ErrorClass;

/// Of one list: an account has 40 clusters and 40 instances a region, and a VPC 200 network ACLs, unless a quota was raised.
const PAGES: usize = 20;

/// One page, and what the next one begins with.
pub(super) type Page<T> = (Vec<T>, Option<String>);

/// A whole list. `read`: the page that a marker begins.
pub(super) async fn read_pages<T, F: Future<Output = Result<Page<T>, CallError>>>(
    call: Action,
    read: impl Fn(Option<String>) -> F,
) -> Result<Vec<T>, CallError> {
    let too_long = || {
        let why = format!("{call}: more than {PAGES} pages");
        CallError { code: None, class: ErrorClass::Transient, why }
    };
    read_pages_up_to(PAGES, read).await?.ok_or_else(too_long)
}

/// A whole list, if it has no more than so many pages.
pub(super) async fn read_pages_up_to<T, F: Future<Output = Result<Page<T>, CallError>>>(
    most: usize,
    read: impl Fn(Option<String>) -> F,
) -> Result<Option<Vec<T>>, CallError> {
    let (mut all, mut marker) = (Vec::new(), None);
    for _ in 0..most {
        let (page, next) = read(marker.take()).await?;
        all.extend(page);
        marker = next.filter(|marker| !marker.is_empty());
        if marker.is_none() {
            return Ok(Some(all));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pages(last: usize) -> Result<Vec<usize>, CallError> {
        read_pages(Action::DescribeDbClusters, |marker| async move {
            let number: usize = marker.map_or(0, |marker| marker.parse().expect("a number"));
            let next = if number == last { String::new() } else { (number + 1).to_string() };
            Ok((vec![number], Some(next)))
        })
        .await
    }

    #[tokio::test]
    async fn a_list_is_read_page_by_page_and_one_without_an_end_is_given_up() {
        assert_eq!(pages(2).await, Ok(vec![0, 1, 2]));
        assert!(pages(PAGES).await.is_err_and(|error| error.why.contains("more than 20 pages")));
    }
}
