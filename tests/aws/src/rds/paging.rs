//! Pages of a listing, and the filters that narrow it.
//!
//! What this module must never do: leave a filter aside that it does not know.

use super::arn::Arn;
use crate::query::{Form, invalid_value};
use crate::service::Refusal;

const SMALLEST_PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// A part of a listing.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Where the next part starts.
    pub(super) marker: Option<String>,
}

/// Takes the part that `Marker` and `MaxRecords` ask for.
pub(super) fn page<T>(items: impl IntoIterator<Item = T>, form: &Form) -> Result<Page<T>, Refusal> {
    let size = match form.number("MaxRecords")? {
        None => LARGEST_PAGE,
        Some(number) => read_size(number)?,
    };
    let start = form.get("Marker").map_or(Ok(0), read_marker)?;
    let mut following = items.into_iter().skip(start);
    let items: Vec<T> = following.by_ref().take(size).collect();
    let marker = following.next().map(|_| format!("fake-marker-{}", start.saturating_add(size)));
    Ok(Page { items, marker })
}

fn read_size(number: u32) -> Result<usize, Refusal> {
    let size = usize::try_from(number).ok().filter(|size| (SMALLEST_PAGE..=LARGEST_PAGE).contains(size));
    size.ok_or_else(|| {
        invalid_value(&format!("Invalid value {number} for MaxRecords. Must be between 20 and 100"))
    })
}

fn read_marker(marker: &str) -> Result<usize, Refusal> {
    let start = marker.strip_prefix("fake-marker-").and_then(|number| number.parse().ok());
    start.ok_or_else(|| invalid_value(&format!("Invalid marker: {marker}")))
}

/// A filter: any of the values will do.
pub(super) struct Filter<'a> {
    pub(super) name: &'a str,
    values: Vec<&'a str>,
}

impl Filter<'_> {
    pub(super) fn has(&self, value: &str) -> bool {
        self.values.contains(&value)
    }

    pub(super) fn has_any(&self, is_wanted: impl Fn(&str) -> bool) -> bool {
        self.values.iter().any(|value| is_wanted(value))
    }

    /// Whether it has the ARN, or the name in it.
    pub(super) fn names(&self, arn: &Arn) -> bool {
        self.has(arn.as_str()) || self.has(arn.name())
    }
}

/// Reads the filters, each of which has to be among the known ones.
pub(super) fn read_filters<'a>(form: &'a Form, known: &[&str]) -> Result<Vec<Filter<'a>>, Refusal> {
    let mut filters = Vec::new();
    for number in 1_u32.. {
        let prefix = format!("Filters.Filter.{number}");
        let Some(name) = form.get(&format!("{prefix}.Name")) else { break };
        if !known.contains(&name) {
            return Err(invalid_value(&format!("Unrecognized filter name: {name}")));
        }
        filters.push(Filter { name, values: form.list(&format!("{prefix}.Values.Value")) });
    }
    Ok(filters)
}
