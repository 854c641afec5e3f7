//! What RDS says of an instance, in plain words: states that the SDK does not know yet stay the text that they are.

use aws_sdk_rds::types::{DbInstance, DbInstanceStatusInfo, PendingModifiedValues};

/// What this adapter steers; the API is shared by others.
const ENGINE: &str = "postgres";
/// RDS' word for the kind of information that is about a replica.
const REPLICATION: &str = "read replication";
/// Its word for one that follows its source.
const REPLICATING: &str = "replicating";

/// An instance, as its own region sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct InstanceView {
    /// What its user calls it.
    pub(super) name: String,
    /// What it will be called: RDS took another name for it, and has not given it yet.
    pub(super) new_name: Option<String>,
    /// `DbiResourceId`: another one under the same name is another instance.
    pub(super) resource: String,
    pub(super) status: String,
    pub(super) engine: String,
    pub(super) version: String,
    /// What it replicates from: an ARN, where that stands in another region. `None`: it is no replica.
    pub(super) source: Option<String>,
    /// `replicating`, `error`, `terminated`, ...; empty: nothing is said.
    pub(super) replication: String,
    /// For how many days its backups are kept; 0: it has none.
    pub(super) backup_days: i32,
    /// How far RDS is with what it does, in its own words; empty: nothing is said.
    pub(super) progress: String,
}

/// What its status means for a promotion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// RDS takes a promotion.
    Available,
    /// A promotion passes through it, and so do other changes.
    Changing,
    /// RDS takes a promotion once it is over.
    BackingUp,
    /// It stays so until a person mends it.
    Stuck,
    /// Something else goes on.
    Busy,
}

impl InstanceView {
    pub(super) fn of(instance: &DbInstance) -> Self {
        let mut infos = instance.status_infos().iter().filter(|info| info.status_type() == Some(REPLICATION));
        let replication = infos.find_map(DbInstanceStatusInfo::status);
        let source = instance.read_replica_source_db_instance_identifier();
        let pending = instance.pending_modified_values();
        let new_name = pending.and_then(PendingModifiedValues::db_instance_identifier);
        Self {
            name: text(instance.db_instance_identifier()),
            new_name: new_name.filter(|name| !name.is_empty()).map(str::to_owned),
            resource: text(instance.dbi_resource_id()),
            status: text(instance.db_instance_status()),
            engine: text(instance.engine()),
            version: text(instance.engine_version()),
            source: source.filter(|source| !source.is_empty()).map(str::to_owned),
            replication: text(replication),
            backup_days: instance.backup_retention_period().unwrap_or_default(),
            progress: text(instance.percent_progress()),
        }
    }

    pub(super) fn state(&self) -> State {
        match self.status.as_str() {
            "available" => State::Available,
            "modifying" | "rebooting" => State::Changing,
            "backing-up" => State::BackingUp,
            "storage-full" | "failed" => State::Stuck,
            status if status.starts_with("incompatible-") || status.starts_with("inaccessible-") => {
                State::Stuck
            }
            _ => State::Busy,
        }
    }

    pub(super) fn is_replicating(&self) -> bool {
        self.replication == REPLICATING
    }

    pub(super) fn replicates_from(&self, sources: &[String]) -> bool {
        self.source.as_ref().is_some_and(|source| sources.contains(source))
    }

    /// Why RDS would not take a promotion now, or should not be asked for one. That it does *not* replicate is no reason: a
    /// replica whose primary is gone is the very one to promote. What its database receives is for the database to say.
    pub(super) fn unfit(&self, sources: &[String]) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.engine.is_empty() && self.engine != ENGINE {
            reasons.push(format!("its engine is {}; only {ENGINE} is steered", self.engine));
        }
        match &self.source {
            None => reasons.push("RDS says that it is no read replica".to_owned()),
            Some(source) if !self.replicates_from(sources) => reasons.push(other_source(source)),
            Some(_) => {}
        }
        reasons.extend(self.in_the_way().filter(|_| matches!(self.state(), State::Stuck)));
        reasons
    }

    /// Why it cannot be promoted just now, and may be later.
    pub(super) fn unready(&self) -> Option<String> {
        self.in_the_way().filter(|_| !matches!(self.state(), State::Stuck))
    }

    /// What its status has against a promotion.
    pub(super) fn in_the_way(&self) -> Option<String> {
        let status = or_nothing(&self.status);
        match self.state() {
            State::Available => None,
            State::BackingUp => {
                Some(format!("it is {status}, and RDS refuses a promotion until the backup is done"))
            }
            State::Stuck => Some(format!("it is {status}, and stays so until a person mends it")),
            State::Changing | State::Busy => Some(format!("it is {status}")),
        }
    }

    /// For people.
    pub(super) fn describe(&self) -> String {
        let role = match &self.source {
            Some(source) => format!("a replica of {source}, {}", or_nothing(&self.replication)),
            None => "no replica".to_owned(),
        };
        let status = or_nothing(&self.status);
        let status = match self.progress.as_str() {
            "" => status.to_owned(),
            progress => format!("{status} ({progress} %)"),
        };
        format!("the instance ({ENGINE} {}) is {status} and {role}", self.version)
    }
}

pub(super) fn other_source(source: &str) -> String {
    format!("it replicates from {source}, which is no instance of this item")
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

/// What a state is called that was not said.
fn or_nothing(state: &str) -> &str {
    if state.is_empty() { "in no state that is said" } else { state }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EAST: &str = "arn:aws:rds:us-east-1:111122223333:db:orders-east";

    fn replica(status: &str, replication: &str) -> InstanceView {
        let info = DbInstanceStatusInfo::builder().status_type("read replication").normal(true);
        let instance = DbInstance::builder().dbi_resource_id("db-1").db_instance_status(status);
        let instance = instance.engine("postgres").engine_version("16.6").backup_retention_period(0);
        let instance = instance.read_replica_source_db_instance_identifier(EAST);
        InstanceView::of(&instance.status_infos(info.status(replication).build()).build())
    }

    fn unfit(view: &InstanceView) -> Vec<String> {
        view.unfit(&[EAST.to_owned()])
    }

    #[test]
    fn a_replica_that_is_well_has_nothing_in_its_way() {
        let view = replica("available", "replicating");
        assert!(view.is_replicating() && unfit(&view).is_empty(), "{view:?}");
        let told = "the instance (postgres 16.6) is available and a replica of arn:aws:rds:us-east-1:111122223333:db:\
                    orders-east, replicating";
        assert_eq!(view.describe(), told);
    }

    #[test]
    fn a_replica_whose_primary_is_gone_is_still_fit() {
        for state in ["error", "terminated", "stopped", ""] {
            let view = replica("available", state);
            assert!(!view.is_replicating() && unfit(&view).is_empty(), "{state}");
        }
    }

    #[test]
    fn whatever_rds_would_refuse_for_good_makes_it_unfit_and_the_rest_unready() {
        let now = |status: &str| replica(status, "replicating").unready().unwrap_or_default();
        let told = "it is backing-up, and RDS refuses a promotion until the backup is done";
        assert_eq!(now("backing-up"), told);
        for status in ["modifying", "upgrading", "stopped", "something-new"] {
            assert_eq!(now(status), format!("it is {status}"));
            assert!(unfit(&replica(status, "replicating")).is_empty(), "{status}");
        }
        assert_eq!(now(""), "it is in no state that is said");
        for status in
            ["storage-full", "incompatible-network", "inaccessible-encryption-credentials", "failed"]
        {
            let told = [format!("it is {status}, and stays so until a person mends it")];
            assert_eq!(unfit(&replica(status, "replicating")), told);
        }
    }

    #[test]
    fn only_a_replica_of_another_instance_of_the_item_is_fit() {
        let view = replica("available", "replicating");
        let told = view.unfit(&["arn:aws:rds:us-west-2:111122223333:db:other".to_owned()]).join("; ");
        assert_eq!(told, format!("it replicates from {EAST}, which is no instance of this item"));
        let alone = InstanceView { source: None, ..view.clone() };
        assert_eq!(unfit(&alone), ["RDS says that it is no read replica"]);
        let mysql = InstanceView { engine: "mysql".to_owned(), ..view };
        assert_eq!(unfit(&mysql), ["its engine is mysql; only postgres is steered"]);
    }

    #[test]
    fn an_empty_element_is_no_source() {
        let instance = DbInstance::builder().read_replica_source_db_instance_identifier("").build();
        assert_eq!(InstanceView::of(&instance).source, None);
    }
}
