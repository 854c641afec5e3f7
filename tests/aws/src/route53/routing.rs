//! Which of several record sets of one name and type is answered.
//!
//! A set without a health check is healthy. If none is, all are: an answer is never empty.
//!
//! | routing | answered |
//! |---|---|
//! | failover | the primary; the secondary if it alone is healthy |
//! | weights | the first identifier among the healthy ones with a weight; those of weight 0 only if no other is healthy |
//! | any other | the first identifier |
//!
//! The real service draws among weights; here it is always the first, so that a test knows what to expect.

use super::records::{RecordSet, Records};

/// Leaves one set of each name and type.
pub(super) fn choose_answering(records: &Records, is_healthy: impl Fn(&str) -> bool) -> Records {
    let is_healthy = |set: &RecordSet| set.routing.health_check_id.as_deref().is_none_or(&is_healthy);
    let sets: Vec<&RecordSet> = records.values().collect();
    // They stand in the order of their names, types and identifiers.
    let groups = sets.chunk_by(|one, next| one.key.name == next.key.name && one.key.kind == next.key.kind);
    let chosen = groups.filter_map(|group| choose(group, is_healthy));
    chosen.map(|set| (set.key.clone(), set.clone())).collect()
}

fn choose<'r>(group: &[&'r RecordSet], is_healthy: impl Fn(&RecordSet) -> bool) -> Option<&'r RecordSet> {
    if group.iter().any(|set| set.routing.failover.is_some()) {
        choose_by_failover(group, is_healthy)
    } else if group.iter().any(|set| set.routing.weight.is_some()) {
        choose_by_weight(group, is_healthy)
    } else {
        group.first().copied()
    }
}

fn choose_by_failover<'r>(
    group: &[&'r RecordSet],
    is_healthy: impl Fn(&RecordSet) -> bool,
) -> Option<&'r RecordSet> {
    let find = |role: &str| group.iter().copied().find(|set| set.routing.failover.as_deref() == Some(role));
    match (find("PRIMARY"), find("SECONDARY")) {
        (Some(primary), Some(secondary)) if !is_healthy(primary) && is_healthy(secondary) => Some(secondary),
        (primary, secondary) => primary.or(secondary),
    }
}

fn choose_by_weight<'r>(
    group: &[&'r RecordSet],
    is_healthy: impl Fn(&RecordSet) -> bool,
) -> Option<&'r RecordSet> {
    let (weighty, weightless): (Vec<_>, Vec<_>) = group.iter().copied().partition(|set| has_weight(set));
    let in_turn = [weighty, weightless].concat();
    let healthy = in_turn.iter().copied().find(|set| is_healthy(set));
    healthy.or_else(|| in_turn.first().copied())
}

fn has_weight(set: &RecordSet) -> bool {
    let weight = set.routing.weight.as_deref().and_then(|weight| weight.parse::<u8>().ok());
    weight.is_some_and(|weight| weight > 0)
}

#[cfg(test)]
mod tests {
    use super::choose_answering;
    use crate::name::DomainName;
    use crate::route53::records::{RecordKey, RecordSet, Records, Routing};

    /// Sets of one name, each with its identifier, routing, and whether it has a check.
    fn sets(sets: &[(&str, Routing, bool)]) -> Records {
        let name = DomainName::parse("shop.example.com").expect("a name");
        let written = sets.iter().map(|(identifier, routing, has_check)| {
            let identifier = Some((*identifier).to_owned());
            let key = RecordKey { name: name.clone(), kind: "A".to_owned(), identifier: identifier.clone() };
            let health_check_id = identifier.filter(|_| *has_check);
            let routing = Routing { health_check_id, ..routing.clone() };
            (key.clone(), RecordSet { key, ttl: 60, values: Vec::new(), routing })
        });
        written.collect()
    }

    fn answered(sets: &Records, healthy: &[&str]) -> Vec<String> {
        let chosen = choose_answering(sets, |check| healthy.contains(&check));
        chosen.into_keys().filter_map(|key| key.identifier).collect()
    }

    fn weight(weight: &str) -> Routing {
        Routing { weight: Some(weight.to_owned()), ..Routing::default() }
    }

    fn role(role: &str) -> Routing {
        Routing { failover: Some(role.to_owned()), ..Routing::default() }
    }

    #[test]
    fn the_secondary_answers_only_if_it_alone_is_healthy() {
        let both = sets(&[("a", role("SECONDARY"), true), ("b", role("PRIMARY"), true)]);
        for (healthy, expected) in [
            (["a", "b"].as_slice(), "b"),
            (["b"].as_slice(), "b"),
            (["a"].as_slice(), "a"),
            ([].as_slice(), "b"),
        ] {
            assert_eq!(answered(&both, healthy), [expected], "{healthy:?}");
        }
        let unchecked = sets(&[("a", role("SECONDARY"), false), ("b", role("PRIMARY"), true)]);
        assert_eq!(answered(&unchecked, &[]), ["a"]);
        assert_eq!(answered(&sets(&[("a", role("SECONDARY"), true)]), &[]), ["a"]);
    }

    #[test]
    fn no_weight_is_answered_only_if_nothing_with_a_weight_is_healthy() {
        let three = sets(&[("a", weight("0"), true), ("b", weight("1"), true), ("c", weight("9"), true)]);
        for (healthy, expected) in [
            (["a", "b", "c"].as_slice(), "b"),
            (["a", "c"].as_slice(), "c"),
            (["a"].as_slice(), "a"),
            ([].as_slice(), "b"),
        ] {
            assert_eq!(answered(&three, healthy), [expected], "{healthy:?}");
        }
    }

    #[test]
    fn other_routing_answers_the_first() {
        let two = sets(&[("a", Routing::default(), true), ("b", Routing::default(), true)]);
        assert_eq!(answered(&two, &["b"]), ["a"]);
    }
}
