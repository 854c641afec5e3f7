//! What an old primary is called once its name is given to a replica: derived from what it is, so that whoever looks later
//! knows it again, and nothing else is ever called so.

use super::super::view::InstanceView;

/// The longest identifier of an instance (`ModifyDBInstance`).
const LONGEST: usize = 63;
/// Between the old name and what marks the instance.
const BETWEEN: &str = "-old-";
/// Of its `DbiResourceId`.
const MARK: usize = 8;

/// The longest name of an instance that leaves room for what it is called afterwards.
pub const LONGEST_NAME: usize = LONGEST - BETWEEN.len() - MARK;

/// `orders-east-old-4fq7h2xa`: with the end of its `DbiResourceId`.
pub(super) fn kept_name(instance: &InstanceView) -> String {
    of(&instance.name, &instance.resource)
}

fn of(name: &str, resource: &str) -> String {
    let mark = resource.to_ascii_lowercase();
    let from = mark.len().saturating_sub(MARK);
    format!("{name}{BETWEEN}{}", mark.get(from..).unwrap_or_default())
}

/// Whether this one was called `name` once, and gave it away.
pub(super) fn is_kept(instance: &InstanceView, name: &str) -> bool {
    !instance.resource.is_empty() && instance.name == of(name, &instance.resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(name: &str, resource: &str) -> InstanceView {
        InstanceView { name: name.to_owned(), resource: resource.to_owned(), ..InstanceView::default() }
    }

    #[test]
    fn an_instance_is_known_again_by_the_name_that_is_its_own() {
        let before = instance("orders-east", "db-VUJ3XYGOFTPZCJ2NTNFIFYBBOE");
        let name = kept_name(&before);
        assert_eq!(name, "orders-east-old-fifybboe");
        assert!(is_kept(&instance(&name, &before.resource), "orders-east"));
        assert!(
            !is_kept(&instance(&name, "db-ANOTHERONEOFTHATNAMEXXXXXX"), "orders-east"),
            "somebody else's"
        );
        assert!(!is_kept(&before, "orders-east") && !is_kept(&instance(&name, ""), "orders-east"));
    }

    #[test]
    fn the_longest_name_that_is_taken_leaves_room_for_it() {
        let longest = "a".repeat(LONGEST_NAME);
        assert_eq!(kept_name(&instance(&longest, "db-VUJ3XYGOFTPZCJ2NTNFIFYBBOE")).len(), LONGEST);
    }
}
