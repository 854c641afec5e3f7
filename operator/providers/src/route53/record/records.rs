//! What the API lists at the name and at the witness, as a view.

use super::super::listed::kept_too_long;
use super::super::values::{parse_listed, parse_value, takes_part};
use crate::dns::{SteeredName, View};
use aws_sdk_route53::operation::list_resource_record_sets::ListResourceRecordSetsOutput;
use aws_sdk_route53::types::{ResourceRecordSet, RrType};
use hickory_proto::rr::Name;
use hickory_proto::rr::rdata::TXT;
use std::collections::BTreeSet;

/// Records as listed, in Route 53's order.
#[derive(Debug, Default)]
pub(super) struct Records {
    sets: Vec<ResourceRecordSet>,
    /// Where the next page would begin; `None` at the zone's end.
    next: Option<Name>,
    /// Whether a page was listed that said where.
    asked: bool,
}

impl Records {
    pub(super) fn take(&mut self, page: ListResourceRecordSetsOutput) {
        let next = page.next_record_name().map(parse_listed);
        // One that cannot be read may come before any name.
        self.asked = next != Some(None);
        self.next = next.flatten();
        for set in page.resource_record_sets {
            // Two pages may overlap.
            if !self.sets.contains(&set) {
                self.sets.push(set);
            }
        }
    }

    /// Whether everything at `name` was listed already.
    pub(super) fn is_past(&self, name: &Name) -> bool {
        self.asked && self.next.as_ref().is_none_or(|next| order(next) > order(name))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Whether anything was listed that is in this zone.
    pub(super) fn are_in(&self, zone: &Name) -> bool {
        self.sets.iter().any(|set| parse_listed(set.name()).is_some_and(|name| zone.zone_of(&name)))
    }

    /// What stands at a name.
    pub(super) fn at<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a ResourceRecordSet> {
        self.sets.iter().filter(move |set| parse_listed(set.name()).as_ref() == Some(name))
    }

    /// Why resolvers may keep an answer for longer than the policy says, for people.
    pub(super) fn kept_too_long(&self, name: &SteeredName) -> Option<String> {
        let mut steered = self.at(&name.record).filter(|set| takes_part(set.r#type(), name.kind()));
        steered.find_map(|set| kept_too_long(set, name))
    }

    /// Name and witness; an error for people if something stands there that this way does not steer.
    pub(super) fn view(&self, name: &SteeredName) -> Result<View, String> {
        let mut view = View { data: BTreeSet::new(), witness: Vec::new() };
        for set in self.at(&name.record) {
            if !matches!(set.r#type(), RrType::A | RrType::Aaaa | RrType::Cname) {
                continue;
            }
            ensure_simple(set)?;
            for record in set.resource_records() {
                let (kind, value) = (set.r#type(), record.value());
                let read = parse_value(kind, value).ok_or_else(|| format!("{kind} `{value}` cannot be read"));
                view.data.insert(read?);
            }
        }
        for set in self.at(&name.witness).filter(|set| *set.r#type() == RrType::Txt) {
            ensure_simple(set)?;
            let texts = set.resource_records().iter().map(|record| {
                parse_text(record.value()).ok_or_else(|| "the witness there cannot be read".to_owned())
            });
            view.witness.extend(texts.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(view)
    }
}

/// Another kind of record is somebody's design: it is not replaced by a simple one.
fn ensure_simple(set: &ResourceRecordSet) -> Result<(), String> {
    let kind = set.r#type();
    let (at, fix) = (set.name(), "make it a simple record first");
    if set.alias_target().is_some() {
        return Err(format!("the {kind} record of {at} is an alias; {fix}"));
    }
    if let Some(identifier) = set.set_identifier() {
        return Err(format!("the {kind} record of {at} has a routing policy (set `{identifier}`); {fix}"));
    }
    if set.health_check_id().is_some() {
        return Err(format!("the {kind} record of {at} has a health check; {fix}"));
    }
    Ok(())
}

/// The name as Route 53 sorts it: `com.example.shop.` A label's end is a dot, which sorts after `-` and before letters.
fn order(name: &Name) -> Vec<u8> {
    name.iter().rev().flat_map(|label| label.iter().copied().chain([b'.'])).collect()
}

/// Strings in double quotes, one after the other; `\"` and `\\` within them.
fn parse_text(value: &str) -> Option<TXT> {
    let (mut strings, mut chars) = (Vec::new(), value.chars());
    loop {
        match chars.next() {
            None => break,
            Some(' ') => continue,
            Some('"') => {}
            Some(_) => return None,
        }
        let mut string = String::new();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => string.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
                other => string.push(other),
            }
        }
        strings.push(string);
    }
    (!strings.is_empty()).then(|| TXT::new(strings))
}

/// As [`parse_text`] reads it.
pub(super) fn write_text(txt: &TXT) -> String {
    let quote = |string: &[u8]| {
        let escaped = String::from_utf8_lossy(string).replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    };
    txt.txt_data.iter().map(|string| quote(string)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_reads_back_as_it_was_written() {
        let texts = ["muster1", "owner=a\"b\\c", "A 127.0.1.1", ""].map(str::to_owned).to_vec();
        let txt = TXT::new(texts);
        assert_eq!(parse_text(&write_text(&txt)), Some(txt));
        for bad in ["", "muster1", "\"open", "\"a\" b", "\"\\052\""] {
            assert_eq!(parse_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_listed_is_known_to_be_past_a_name() {
        let name = |text: &str| parse_listed(text).expect("a name");
        let mut records = Records { asked: true, ..Records::default() };
        assert!(records.is_past(&name("_muster.shop.example.com")), "the zone ends there");
        records.next = Some(name("0.shop.example.com"));
        assert!(!records.is_past(&name("_muster.shop.example.com")));
        records.next = Some(name("_muster-old.shop.example.com"));
        assert!(!records.is_past(&name("_muster.shop.example.com")));
        records.next = Some(name("a.shop.example.com"));
        assert!(records.is_past(&name("_muster.shop.example.com")));
        assert!(!Records::default().is_past(&name("shop.example.com")));
    }
}
