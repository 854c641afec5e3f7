//! Pages of a listing.

use super::records::{KINDS, RecordKey, RecordSet, Records};
use super::refusals::Route53Refusal;
use crate::name::DomainName;
use crate::request::ApiRequest;

const LARGEST_PAGE: usize = 300;

/// Where a listing starts, and how much of it is wanted.
pub(super) struct Asked {
    from: Option<RecordKey>,
    max_items: usize,
}

/// A part of a listing.
pub(super) struct Page {
    pub(super) sets: Vec<RecordSet>,
    /// The set that the next page starts with.
    pub(super) next: Option<RecordKey>,
    pub(super) max_items: usize,
}

impl Asked {
    /// Reads the query: `name`, `type`, `identifier` and `maxitems`.
    pub(super) fn read(request: &ApiRequest) -> Result<Self, Route53Refusal> {
        let max_items = match request.parameter("maxitems") {
            None => LARGEST_PAGE,
            Some(text) => read_count(&text)?.min(LARGEST_PAGE),
        };
        Ok(Self { from: read_start(request)?, max_items })
    }

    pub(super) fn page(&self, records: &Records) -> Page {
        let is_reached = |set: &&RecordSet| self.from.as_ref().is_none_or(|from| set.key >= *from);
        let mut following = records.values().filter(is_reached);
        let sets = following.by_ref().take(self.max_items).cloned().collect();
        let next = following.next().map(|set| set.key.clone());
        Page { sets, next, max_items: self.max_items }
    }
}

fn read_count(text: &str) -> Result<usize, Route53Refusal> {
    let count = text.parse::<usize>().ok().filter(|count| *count > 0);
    count.ok_or_else(|| Route53Refusal::InvalidInput(format!("Invalid value for maxitems: '{text}'")))
}

/// The service takes a type only with a name, and an identifier only with both.
fn read_start(request: &ApiRequest) -> Result<Option<RecordKey>, Route53Refusal> {
    let (kind, identifier) = (request.parameter("type"), request.parameter("identifier"));
    let Some(name) = request.parameter("name") else {
        return if kind.is_none() && identifier.is_none() {
            Ok(None)
        } else {
            Err(invalid("The input is not valid: a type or an identifier needs a name"))
        };
    };
    if identifier.is_some() && kind.is_none() {
        return Err(invalid("The input is not valid: an identifier needs a type"));
    }
    if kind.as_ref().is_some_and(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(invalid("The input is not valid: unknown type"));
    }
    let name = DomainName::parse(&name).ok_or_else(|| invalid("The input is not valid: no domain name"))?;
    Ok(Some(RecordKey { name, kind: kind.unwrap_or_default(), identifier }))
}

fn invalid(message: &str) -> Route53Refusal {
    Route53Refusal::InvalidInput(message.to_owned())
}
