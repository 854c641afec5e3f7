//! Which routing controls are on, and where that sends the name. Pure.

use muster_core::ids::RegionName;
use std::collections::BTreeMap;

/// Whether each region's routing control is on, as one endpoint answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct States(BTreeMap<RegionName, bool>);

impl States {
    pub(super) fn new(states: impl IntoIterator<Item = (RegionName, bool)>) -> Self {
        Self(states.into_iter().collect())
    }

    /// The regions whose controls are on.
    pub(super) fn on(&self) -> Vec<&RegionName> {
        self.0.iter().filter(|(_, is_on)| **is_on).map(|(region, _)| region).collect()
    }

    /// The region whose control alone is on: the name is sent there.
    pub(super) fn only_on(&self) -> Option<&RegionName> {
        match self.on()[..] {
            [region] => Some(region),
            _ => None,
        }
    }

    /// Why nobody could tell where the name is sent, for people.
    pub(super) fn ambiguous(&self) -> Option<String> {
        match &self.on()[..] {
            [] => Some("no routing control is on: Route 53 answers as if all were".to_owned()),
            [_] => None,
            several => {
                let several: Vec<_> = several.iter().map(|region| region.as_str()).collect();
                Some(format!("the routing controls of regions {} are on", several.join(" and ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_sent_somewhere_only_by_exactly_one_control() {
        let check = |on: &[&str], only: Option<&str>, told: Option<&str>| {
            let states = ["east", "north", "west"].map(|region| (region.into(), on.contains(&region)));
            let states = States::new(states);
            assert_eq!(states.only_on().map(RegionName::as_str), only, "{on:?}");
            let ambiguous = states.ambiguous();
            assert_eq!(ambiguous.is_some(), told.is_some(), "{ambiguous:?}");
            assert!(told.is_none_or(|told| ambiguous.is_some_and(|why| why.contains(told))), "{on:?}");
        };
        check(&[], None, Some("no routing control is on"));
        check(&["west"], Some("west"), None);
        check(&["east", "west"], None, Some("regions east and west are on"));
    }
}
