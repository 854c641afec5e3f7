//! Changes of a workload: a mark, then what it allows, each under the version that the one before left.

use super::call::{Effect, Failure, within};
use super::look::{Head, Objects, count, read_head};
use super::marks::{
    BEFORE, FENCED, MANAGER, MIN_BEFORE, WITNESS, mark_of, read_number, read_witness, write_witness,
};
use super::workload::Workload;
use crate::OpCtx;
use kube::api::{Patch, PatchParams};
use kube::core::ObjectMeta;
use muster_core::facts::{ErrorClass, Outcome};
use muster_core::ids::RegionName;
use serde_json::{Value, json};

/// What is wanted of a workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// At least so many replicas, as far as its autoscaler allows.
    AtLeast(u32),
    /// None, as a fence. An autoscaler rests while there are none.
    Zero,
    /// The fence undone: as many as it took.
    Lift,
    /// Given back: so many, or as many as before.
    Back(Option<u32>),
}

/// Carries out `change`, all of it or as far as it came: every part may be repeated.
pub(super) async fn change(
    workload: &Workload,
    region: &RegionName,
    change: Change,
    ctx: &OpCtx,
) -> Result<Outcome, Failure> {
    let objects = workload.reach(region).await?;
    let head = read_head(workload, &objects).await?;
    if let Some(refused) = refuse(workload, &head.object.metadata, ctx) {
        return Ok(refused);
    }
    let meta = &head.object.metadata;
    let (now, before, fenced) = (head.replicas(), read_number(meta, BEFORE), read_number(meta, FENCED));
    // What stands there while it is changed, so that it can be gone on with from any point; and what stands afterwards.
    let (goal, during, after) = match change {
        Change::AtLeast(replicas) => {
            let goal = allowed(&head, replicas).max(now);
            let taken = before.or(fenced).unwrap_or(now).to_string();
            let after = fenced.map(|_| json!({ FENCED: null }));
            (goal, json!({ BEFORE: taken }), after)
        }
        Change::Zero => (0, json!({ FENCED: fenced.unwrap_or(now).to_string() }), None),
        Change::Lift => match fenced {
            // Never fewer than there are: the fence may not have come to scale at all.
            Some(fenced) => (fenced.max(now), json!({}), Some(json!({ FENCED: null }))),
            None => return Ok(Outcome::AlreadyDone),
        },
        Change::Back(replicas) => match before.or(fenced) {
            Some(taken) => {
                (replicas.unwrap_or(taken), json!({}), Some(json!({ BEFORE: null, FENCED: null })))
            }
            None => return Ok(Outcome::AlreadyDone),
        },
    };
    let version = meta.resource_version.clone();
    let mut call = Call { workload, objects: &objects, ctx, version };
    let mut marks = during;
    marks[WITNESS] = write_witness(&mark_of(&ctx.effect)).into();
    call.annotate(&marks).await?;
    match change {
        Change::AtLeast(replicas) => call.raise_minimum(&head, allowed(&head, replicas)).await?,
        // An autoscaler rests while there are none.
        Change::Zero | Change::Lift => {}
        Change::Back(_) => call.give_minimum_back(&head).await?,
    }
    if now != goal {
        call.set_replicas(goal).await?;
    }
    if let Some(after) = after {
        call.annotate(&after).await?;
    }
    Ok(Outcome::Issued(None))
}

/// As many as the autoscaler allows.
fn allowed(head: &Head, replicas: u32) -> u32 {
    let max =
        head.autoscaler.as_ref().and_then(|hpa| hpa.spec.as_ref()).map(|spec| count(Some(spec.max_replicas)));
    max.map_or(replicas, |max| replicas.min(max))
}

/// A mark that this effect must not replace.
fn refuse(workload: &Workload, meta: &ObjectMeta, ctx: &OpCtx) -> Option<Outcome> {
    let present = match read_witness(meta) {
        Ok(present) => present?,
        Err(why) => return Some(Outcome::Conflict(why)),
    };
    let mark = mark_of(&ctx.effect);
    if present.owner != mark.owner {
        let adopted = workload.config.adopted.get().contains(&present.owner);
        return (!adopted).then(|| Outcome::Conflict(format!("it carries the mark of {}", present.owner)));
    }
    (present.order() > mark.order()).then(|| {
        Outcome::StaleEpoch(format!(
            "it has seen epoch {} term {} effect {}",
            present.epoch, present.term, present.seq
        ))
    })
}

/// Requests that change one workload, in a row.
struct Call<'a> {
    workload: &'a Workload,
    objects: &'a Objects,
    ctx: &'a OpCtx,
    /// What the last answer left: a change by anybody else in between is refused.
    version: Option<String>,
}

impl Call<'_> {
    async fn annotate(&mut self, annotations: &Value) -> Result<(), Failure> {
        let patch = json!({ "metadata": { "resourceVersion": self.version, "annotations": annotations } });
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.objects.workloads();
        let patch = Patch::Merge(&patch);
        let sent = self.send(api.patch(&self.workload.config.name, &params, &patch)).await?;
        self.version = sent.metadata.resource_version;
        Ok(())
    }

    async fn set_replicas(&mut self, replicas: u32) -> Result<(), Failure> {
        let name = &self.workload.config.name;
        let patch = json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale",
            "metadata": { "name": name, "resourceVersion": self.version }, "spec": { "replicas": replicas },
        });
        let api = self.objects.workloads();
        // An API server applies no Scale to a custom resource ("request to convert CR to an invalid group/version").
        let (params, patch) = if self.workload.config.kind.group == "apps" {
            (PatchParams::apply(MANAGER).force(), Patch::Apply(&patch))
        } else {
            let merged = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            (merged, Patch::Merge(&patch))
        };
        let sent = self.send(api.patch_scale(name, &params, &patch)).await?;
        self.version = sent.metadata.resource_version;
        Ok(())
    }

    async fn raise_minimum(&self, head: &Head, minimum: u32) -> Result<(), Failure> {
        let Some(hpa) = &head.autoscaler else { return Ok(()) };
        let present = count(hpa.spec.as_ref().and_then(|spec| spec.min_replicas).or(Some(1)));
        if present >= minimum {
            return Ok(());
        }
        let before = read_number(&hpa.metadata, MIN_BEFORE).unwrap_or(present).to_string();
        self.apply_minimum(&hpa.metadata, minimum, &json!({ MIN_BEFORE: before })).await
    }

    async fn give_minimum_back(&self, head: &Head) -> Result<(), Failure> {
        let Some(hpa) = &head.autoscaler else { return Ok(()) };
        let Some(before) = read_number(&hpa.metadata, MIN_BEFORE) else { return Ok(()) };
        // Applied without the annotation, which goes by that.
        self.apply_minimum(&hpa.metadata, before, &json!({})).await
    }

    async fn apply_minimum(
        &self,
        meta: &ObjectMeta,
        minimum: u32,
        annotations: &Value,
    ) -> Result<(), Failure> {
        let name = meta.name.as_deref().unwrap_or_default();
        let patch = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": { "name": name, "resourceVersion": meta.resource_version, "annotations": annotations },
            "spec": { "minReplicas": minimum },
        });
        let api = self.objects.autoscalers();
        let (params, patch) = (PatchParams::apply(MANAGER).force(), Patch::Apply(&patch));
        self.send(api.patch(name, &params, &patch)).await.map(|_| ())
    }

    async fn send<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        let lost = |_| Failure::new(ErrorClass::Transient, "the lease was lost before the request was sent");
        self.ctx.send(within(Effect::Write, self.ctx.remaining(), request)).await.map_err(lost)?
    }
}
