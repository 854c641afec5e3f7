//! What people write into a policy's annotations: pause and resume, adopt, acknowledge.

use super::super::link::within;
use super::super::view::{Known, key_of};
use super::{RESYNC, Requests, UnderWay};
use crate::store::kubernetes::split;
use crate::store::kubernetes::story::clip;
use kube::Api;
use kube::core::ObjectMeta;
use muster_core::ids::{Owner, PolicyName};
use muster_core::journal::PolicyState;
use muster_core::wish::Wish;
use muster_crds::RegionFailoverPolicy;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::task::AbortOnDropHandle;

/// No new effect while it is there; its value says who and why.
pub(crate) const PAUSED: &str = "muster.dev/paused";
/// Acknowledges what is open, if it is what `status.acknowledge` says.
pub(crate) const ACK: &str = "muster.dev/ack";
/// The owner whose marks may be replaced.
pub(crate) const ADOPT: &str = "muster.dev/adopt";

/// Who says what stands in an annotation.
const BY: &str = "annotation";

impl Requests {
    /// Looks at all policies, again and again, until dropped.
    pub(super) async fn follow_policies(self: &Arc<Self>) {
        let mut under_way = BTreeMap::new();
        self.keep_looking(self.view.policies.changes(), || self.look_at_policies(&mut under_way)).await;
    }

    fn look_at_policies(self: &Arc<Self>, under_way: &mut UnderWay) {
        under_way.retain(|_, task| !task.is_finished());
        for (key, known) in self.view.policies.all().unwrap_or_default() {
            let Known::Good(object) = known else { continue };
            let policy = PolicyName::new(key_of(&object.metadata));
            let wishes = self.wishes_for(&policy, &object);
            if wishes.is_empty() {
                continue;
            }
            under_way.entry(key).or_insert_with(|| {
                AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).take_annotations(policy, wishes)))
            });
        }
    }

    /// What the object says and the journal does not, as far as the newest pass knows.
    fn wishes_for(&self, policy: &PolicyName, object: &RegionFailoverPolicy) -> Vec<Wish> {
        let Some(shown) = self.engine.find(policy) else { return Vec::new() };
        let latest = shown.handle.latest.borrow().clone();
        let state = latest.as_ref().and_then(|latest| Some(&latest.journal.as_ref()?.state));
        state.map_or_else(Vec::new, |state| wishes_of(object, state))
    }

    async fn take_annotations(self: Arc<Self>, policy: PolicyName, wishes: Vec<Wish>) {
        for wish in &wishes {
            if let Err(error) = self.take_annotation(&policy, wish).await {
                tracing::warn!(%policy, error, "failed to take a policy's annotations in; trying again");
                return;
            }
        }
    }

    async fn take_annotation(&self, policy: &PolicyName, wish: &Wish) -> Result<(), String> {
        let turn = self.policy_turns.acquire().await.map_err(|error| error.to_string())?;
        if matches!(wish, Wish::Resume { .. }) && !self.is_resumed(policy).await? {
            drop(turn);
            // Not asked again with every change.
            tokio::time::sleep(RESYNC).await;
            return Ok(());
        }
        if let Err(refusal) = self.wish(policy, wish).await? {
            tracing::warn!(%policy, reason = refusal.reason, message = refusal.message, "a wish was refused");
        }
        Ok(())
    }

    /// Whether the policy is paused no more, read from the API server itself: a pause may be heard there before the
    /// watch shows it, and must not be taken back by what the watch showed before.
    async fn is_resumed(&self, policy: &PolicyName) -> Result<bool, String> {
        let (namespace, name) = split(policy);
        let api: Api<RegionFailoverPolicy> = Api::namespaced(self.client.clone(), namespace);
        let live = within(api.get_opt(name)).await?;
        Ok(live.is_some_and(|object| said(&object.metadata, PAUSED).is_none()))
    }
}

/// What the object says and the journal does not.
fn wishes_of(object: &RegionFailoverPolicy, state: &PolicyState) -> Vec<Wish> {
    let by = BY.to_owned();
    let mut wishes = Vec::new();
    let paused = said(&object.metadata, PAUSED);
    if let Some(why) = paused.as_deref().filter(|why| state.paused.as_ref() != Some(&paused_text(why))) {
        wishes.push(Wish::Pause { by: by.clone(), reason: clip(why) });
    }
    if let Some(owner) =
        said(&object.metadata, ADOPT).map(Owner::new).filter(|owner| !state.adopted_from.contains(owner))
    {
        wishes.push(Wish::Adopt { owner, by: by.clone() });
    }
    // An acknowledgement is of what was seen: it names that, and counts for nothing else.
    if said(&object.metadata, ACK).is_some_and(|said| ack_token(state).as_ref() == Some(&said)) {
        wishes.push(Wish::Ack { by: by.clone() });
    }
    if paused.is_none() && state.paused.is_some() {
        wishes.push(Wish::Resume { by });
    }
    wishes
}

/// What names that which a person has to acknowledge; `None`: nothing is open.
pub(crate) fn ack_token(state: &PolicyState) -> Option<String> {
    use sha2::{Digest, Sha256};
    if state.needs_ack.is_none() && state.behind.is_none() {
        return None;
    }
    // Not the whole witness: others of the same run are seen a little later, and are the same matter.
    let behind = state.behind.as_ref().map(|witness| (&witness.owner, witness.epoch));
    let open = format!("{:?} {behind:?} {:?}", state.needs_ack, state.last_run);
    let hash = Sha256::digest(open.as_bytes());
    let [a, b, c, d, ..] = hash.as_slice() else { return None };
    Some(format!("{a:02x}{b:02x}{c:02x}{d:02x}"))
}

/// What an annotation of a policy says, if it says something.
pub(crate) fn said(metadata: &ObjectMeta, key: &str) -> Option<String> {
    let annotations = metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(key)).filter(|value| !value.trim().is_empty()).cloned()
}

/// As the journal words it.
fn paused_text(why: &str) -> String {
    format!("{BY}: {}", clip(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(annotations: &[(&str, &str)]) -> RegionFailoverPolicy {
        let text = include_str!("../../../../../crds/examples/local.yaml");
        let policies = muster_crds::load_policy_file(text).expect("the example is good");
        let mut object = policies.into_iter().next().expect("it has a policy");
        let pairs = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        object.metadata.annotations = Some(pairs.collect());
        object
    }

    fn state() -> PolicyState {
        PolicyState::new(Owner::new("6c1b"))
    }

    fn by() -> String {
        BY.to_owned()
    }

    #[test]
    fn a_pause_is_wished_for_until_the_journal_words_it_so() {
        let object = object(&[(PAUSED, "kim: maintenance")]);
        let wish = Wish::Pause { by: by(), reason: "kim: maintenance".to_owned() };
        assert_eq!(wishes_of(&object, &state()), std::slice::from_ref(&wish));
        let other = PolicyState { paused: Some("annotation: ann: another".to_owned()), ..state() };
        assert_eq!(wishes_of(&object, &other), [wish]);
        let paused = PolicyState { paused: Some("annotation: kim: maintenance".to_owned()), ..state() };
        assert!(wishes_of(&object, &paused).is_empty());
    }

    #[test]
    fn a_resume_comes_after_everything_else() {
        let paused = PolicyState { paused: Some("annotation: kim: maintenance".to_owned()), ..state() };
        assert_eq!(wishes_of(&object(&[]), &paused), [Wish::Resume { by: by() }]);
        let adopting = wishes_of(&object(&[(ADOPT, "uid-0")]), &paused);
        assert_eq!(
            adopting,
            [Wish::Adopt { owner: Owner::new("uid-0"), by: by() }, Wish::Resume { by: by() }]
        );
    }

    #[test]
    fn an_acknowledgement_counts_for_what_it_names() {
        let open = PolicyState { needs_ack: Some("checkout-12 ended".to_owned()), ..state() };
        let token = ack_token(&open).expect("something is open");
        let naming = object(&[(ACK, token.as_str())]);
        assert_eq!(wishes_of(&naming, &open), [Wish::Ack { by: by() }]);
        assert!(wishes_of(&object(&[(ACK, "something-else")]), &open).is_empty());
        assert!(wishes_of(&naming, &state()).is_empty(), "nothing is open");
    }
}
