//! What this process saw of an instance before: RDS names an instance by what its user calls it, and another one may bear that
//! name tomorrow.

use super::view::InstanceView;

/// Of one instance. Empty after a restart: then the first sight counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Memory {
    /// Its `DbiResourceId` at the first sight.
    resource: Option<String>,
    /// It was seen as a replica.
    was_replica: bool,
    /// This process asked for its promotion, and was not refused.
    asked: bool,
}

impl Memory {
    /// Takes in what was seen. Another instance of the same name is taken for this one only if it is a replica `made_anew`,
    /// which is how an old primary comes back; until then it is a stranger.
    pub(super) fn see(&mut self, view: &InstanceView, made_anew: bool) {
        if view.resource.is_empty() {
            return;
        }
        match &self.resource {
            Some(known) if *known != view.resource && !made_anew => {}
            Some(known) if *known == view.resource => self.was_replica |= view.source.is_some(),
            _ => {
                let resource = Some(view.resource.clone());
                *self = Self { resource, was_replica: view.source.is_some(), asked: false };
            }
        }
    }

    /// Why what is seen is not the instance that was seen before.
    pub(super) fn replaced(&self, view: &InstanceView) -> Option<String> {
        let now = Some(view.resource.as_str()).filter(|now| !now.is_empty())?;
        let known = self.resource.as_deref().filter(|known| *known != now)?;
        Some(format!("the instance was replaced: its DbiResourceId was {known}, and now RDS says {now}"))
    }

    /// Which instance it is, if it was seen.
    pub(super) fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    pub(super) fn note_asked(&mut self) {
        self.asked = true;
    }

    /// What was asked for was refused, and has had no effect: it is known as it was before.
    pub(super) fn note_refused(&mut self, asked_before: bool) {
        self.asked &= asked_before;
    }

    pub(super) fn was_replica(&self) -> bool {
        self.was_replica
    }

    pub(super) fn asked(&self) -> bool {
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(resource: &str, source: Option<&str>) -> InstanceView {
        let source = source.map(str::to_owned);
        InstanceView { resource: resource.to_owned(), source, ..InstanceView::default() }
    }

    #[test]
    fn the_first_sight_counts_and_another_instance_is_a_stranger() {
        let mut memory = Memory::default();
        assert_eq!(memory.replaced(&view("db-1", None)), None);
        memory.see(&view("db-1", Some("east")), false);
        memory.see(&view("db-1", None), false);
        assert!(memory.was_replica(), "it was one");
        let stranger = view("db-2", None);
        memory.see(&stranger, false);
        let told = "the instance was replaced: its DbiResourceId was db-1, and now RDS says db-2";
        assert_eq!(memory.replaced(&stranger).as_deref(), Some(told));
        assert_eq!(memory.replaced(&view("db-1", None)), None);
    }

    #[test]
    fn a_replica_that_was_made_anew_is_the_instance_from_then_on() {
        let mut memory = Memory::default();
        memory.see(&view("db-1", None), false);
        memory.note_asked();
        let anew = view("db-2", Some("west"));
        memory.see(&anew, true);
        assert_eq!(memory.replaced(&anew), None);
        assert!(memory.was_replica() && !memory.asked(), "nobody asked for this one's promotion");
        assert!(memory.replaced(&view("db-1", None)).is_some());
    }
}
