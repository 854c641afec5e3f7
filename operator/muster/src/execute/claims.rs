//! The shared things that a policy steers, held before anything is steered: what its text names, and the identity of
//! each data node that was seen (two names may lead to one server, and a promotion moves all of it).
//!
//! Silence gives nothing up: what a node has shown stays held while the policy names its item.

use super::shell::Shell;
use crate::store::{Store, StoreError};
use muster_core::facts::{ByItemRegion, DataFacts, Fact, JournalFacts, Seen};
use muster_core::ids::{ClaimKey, ItemName, Owner, RegionName};
use muster_core::journal::Run;
use muster_core::policy::{DataItem, Policy};
use std::collections::{BTreeMap, BTreeSet};

/// Data nodes as a pass has seen them.
type Nodes = ByItemRegion<DataFacts>;

/// What one policy holds, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Held, or asked for while others hold some of it. `None`: the store was not asked yet what is held from before.
    asked: Option<BTreeSet<ClaimKey>>,
    /// By item, what its nodes have shown.
    shown: BTreeMap<ItemName, BTreeSet<ClaimKey>>,
    /// Held since before this process acted; for which item, nobody knows.
    inherited: BTreeSet<ClaimKey>,
    foreign: BTreeMap<ClaimKey, Owner>,
}

impl Claims {
    /// Claims what the policy names and what its nodes have shown; again while others hold some of it. What the store
    /// does not say is held by nobody here: then nothing is steered.
    pub(super) async fn ensure(
        &mut self,
        store: &dyn Store,
        policy: &Policy,
        run: Option<&Run>,
        nodes: &Nodes,
    ) -> Result<(), StoreError> {
        let held = match &self.asked {
            Some(asked) => asked.clone(),
            None => self.inherit(store, &policy.owner).await?,
        };
        self.learn(policy, run, nodes);
        let wanted = self.wanted(policy, run);
        if self.asked.as_ref() == Some(&wanted) && self.foreign.is_empty() {
            return Ok(());
        }
        self.foreign = store.claim(&policy.owner, &wanted).await?;
        let dropped: BTreeSet<ClaimKey> = held.difference(&wanted).cloned().collect();
        if !dropped.is_empty() {
            store.release_claims(&policy.owner, &dropped).await?;
        }
        self.asked = Some(wanted);
        Ok(())
    }

    async fn inherit(&mut self, store: &dyn Store, owner: &Owner) -> Result<BTreeSet<ClaimKey>, StoreError> {
        let held = store.claims_of(owner).await?;
        self.inherited = held.iter().filter(|key| is_identity(key)).cloned().collect();
        Ok(held)
    }

    /// Takes in what nodes say of themselves. What was inherited has an owner or is nobody's once every node has said
    /// who it is.
    fn learn(&mut self, policy: &Policy, run: Option<&Run>, nodes: &Nodes) {
        for item in items(policy, run) {
            let seen = nodes.get(&item.name).into_iter().flatten().filter_map(|(_, fact)| known(fact));
            let keys: BTreeSet<ClaimKey> = seen.map(|facts| identity(item, facts)).collect();
            if !keys.is_empty() {
                self.shown.entry(item.name.clone()).or_default().extend(keys);
            }
        }
        let answers = |item: &DataItem, region: &RegionName| {
            nodes.get(&item.name).and_then(|by| by.get(region)).and_then(known).is_some()
        };
        let all = policy.data.iter().all(|item| policy.regions.iter().all(|region| answers(item, region)));
        if run.is_none() && all {
            self.inherited.clear();
        }
    }

    fn wanted(&mut self, policy: &Policy, run: Option<&Run>) -> BTreeSet<ClaimKey> {
        self.shown.retain(|name, _| items(policy, run).any(|item| item.name == *name));
        let mut wanted = policy.claims();
        // An active run holds to what it was claimed with.
        wanted.extend(run.into_iter().flat_map(|run| run.policy.claims()));
        wanted.extend(self.shown.values().flatten().cloned());
        wanted.extend(self.inherited.iter().cloned());
        wanted
    }

    /// Gives up everything that `owner` holds; the policy is gone.
    pub(super) async fn release(&mut self, store: &dyn Store, owner: &Owner) -> Result<(), StoreError> {
        *self = Self::default();
        let held = store.claims_of(owner).await?;
        if held.is_empty() { Ok(()) } else { store.release_claims(owner, &held).await }
    }

    /// What the core is told of the journal itself.
    pub(super) fn facts(&self, shell: &Shell, run_active: bool) -> JournalFacts {
        let room = shell.room.borrow();
        let writable: Seen<()> = if run_active { room.under_way.clone() } else { room.new_run.clone() };
        JournalFacts { writable, foreign_claims: self.foreign.clone() }
    }
}

fn items<'a>(policy: &'a Policy, run: Option<&'a Run>) -> impl Iterator<Item = &'a DataItem> {
    policy.data.iter().chain(run.into_iter().flat_map(|run| &run.policy.data))
}

fn known(fact: &Fact<Seen<DataFacts>>) -> Option<&DataFacts> {
    fact.value.known()
}

/// Between the engine and the identity in a key.
const IDENTITY: &str = "-system/";

fn identity(item: &DataItem, facts: &DataFacts) -> ClaimKey {
    ClaimKey::new(format!("{}{IDENTITY}{}", item.engine, facts.system))
}

fn is_identity(key: &ClaimKey) -> bool {
    key.as_str().split_once('/').is_some_and(|(kind, _)| format!("{kind}/").ends_with(IDENTITY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::execute::fakes::{MemoryStore, policy};
    use muster_core::facts::{ClosedView, DataRole, PositionUnit, SyncView};
    use muster_core::ids::Position;
    use muster_core::time::Tick;

    fn node(system: &str) -> Seen<DataFacts> {
        Seen::Known(DataFacts {
            role: DataRole::Standby,
            system: system.to_owned(),
            timeline: 1,
            unit: PositionUnit::Bytes,
            position: Position(1),
            replayed: Position(1),
            streaming: true,
            upstream: None,
            witness: None,
            closed: ClosedView::default(),
            sync: SyncView::default(),
            sync_name: None,
            heartbeat: None,
            unfit: None,
            unready: None,
            lag: None,
            alone: None,
            node: None,
            progress: None,
            follows: None,
            write_block: None,
            saved: Vec::new(),
            unproven: None,
        })
    }

    /// The item `orders` as `(region, system)` show it; without a system the node is silent.
    fn nodes(shown: &[(&str, Option<&str>)]) -> Nodes {
        let fact = |system: Option<&str>| {
            Fact::new(system.map_or_else(|| Seen::Unknown("no answer".into()), node), Tick(1))
        };
        let by_region = shown.iter().map(|(region, system)| ((*region).into(), fact(*system))).collect();
        BTreeMap::from([("orders".into(), by_region)])
    }

    async fn held(store: &MemoryStore, policy: &Policy) -> Vec<String> {
        store.claims_of(&policy.owner).await.unwrap().iter().map(ToString::to_string).collect()
    }

    fn store() -> MemoryStore {
        MemoryStore::new(Clock::system())
    }

    const STATIC: [&str; 2] = ["dns/shop/a", "pg/shop/a"];

    #[tokio::test]
    async fn what_nodes_have_shown_is_held_and_silence_gives_nothing_up() {
        let (store, policy, mut claims) = (store(), policy("shop/a"), Claims::default());
        claims.ensure(&store, &policy, None, &nodes(&[])).await.unwrap();
        assert_eq!(held(&store, &policy).await, STATIC);
        for shown in [[("east", Some("7")), ("west", None)], [("east", None), ("west", None)]] {
            claims.ensure(&store, &policy, None, &nodes(&shown)).await.unwrap();
            assert_eq!(held(&store, &policy).await, ["dns/shop/a", "pg/shop/a", "postgres-system/7"]);
        }
        let mut other = policy.clone();
        other.data[0].name = "ledger".into();
        claims.ensure(&store, &other, None, &nodes(&[("east", Some("7"))])).await.unwrap();
        assert_eq!(held(&store, &policy).await, STATIC, "the policy names that item no more");
    }

    #[tokio::test]
    async fn a_server_under_another_name_is_the_first_ones() {
        let (store, a, b) = (store(), policy("shop/a"), policy("shop/b"));
        let (mut first, mut second) = (Claims::default(), Claims::default());
        first.ensure(&store, &a, None, &nodes(&[("east", Some("7"))])).await.unwrap();
        second.ensure(&store, &b, None, &nodes(&[])).await.unwrap();
        assert!(second.foreign.is_empty());
        second.ensure(&store, &b, None, &nodes(&[("west", Some("7"))])).await.unwrap();
        assert_eq!(second.foreign, BTreeMap::from([(ClaimKey::new("postgres-system/7"), a.owner.clone())]));
        second.ensure(&store, &b, None, &nodes(&[("west", None)])).await.unwrap();
        assert_eq!(second.foreign.len(), 1, "nor does silence free it");
        first.release(&store, &a.owner).await.unwrap();
        second.ensure(&store, &b, None, &nodes(&[("west", None)])).await.unwrap();
        assert!(second.foreign.is_empty());
        assert_eq!(held(&store, &b).await, ["dns/shop/b", "pg/shop/b", "postgres-system/7"]);
    }

    #[tokio::test]
    async fn what_was_held_before_a_restart_stays_until_every_node_has_said_who_it_is() {
        let (store, policy, mut claims) = (store(), policy("shop/a"), Claims::default());
        let before = ["pg/an-older-edit", "postgres-system/6", "postgres-system/7"];
        store.claim(&policy.owner, &before.map(ClaimKey::new).into()).await.unwrap();
        claims.ensure(&store, &policy, None, &nodes(&[("east", None), ("west", Some("7"))])).await.unwrap();
        let all = ["dns/shop/a", "pg/shop/a", "postgres-system/6", "postgres-system/7"];
        assert_eq!(held(&store, &policy).await, all);
        claims
            .ensure(&store, &policy, None, &nodes(&[("east", Some("7")), ("west", Some("7"))]))
            .await
            .unwrap();
        assert_eq!(held(&store, &policy).await, ["dns/shop/a", "pg/shop/a", "postgres-system/7"]);
        Claims::default().release(&store, &policy.owner).await.unwrap();
        assert!(held(&store, &policy).await.is_empty(), "also by a process that never claimed");
    }
}
