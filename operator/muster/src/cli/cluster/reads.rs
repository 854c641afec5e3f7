//! Reads: the objects behind each answer, live and with the caller's rights.

use super::super::exit::{Code, Done, Failure};
use super::call::{Asked, Trouble, call};
use super::show::{self, Kept};
use super::{Cluster, full_name};
use crate::api::{PolicyList, PolicyStatus, RunList, RunReport};
use crate::clock::Clock;
use crate::engine::status::summarize_run;
use crate::store::kubernetes::split;
use kube::api::ListParams;
use kube::core::{DeserializeGuard, ObjectMeta};
use muster_core::decision::{Explanation, PlanPreview};
use muster_core::ids::PolicyName;
use muster_core::journal::Run;
use muster_crds::{FailoverJournal, FailoverRun, RegionFailoverPolicy};
use std::collections::BTreeMap;

const VIEWER: &str = "muster-viewer";
pub(super) const POLICIES: &str = "regionfailoverpolicies";
pub(super) const RUNS: &str = "failoverruns";
const JOURNALS: &str = "failoverjournals";

const fn asked<'a>(verb: &'static str, resource: &'static str, namespace: Option<&'a str>) -> Asked<'a> {
    Asked { verb, resource, namespace, role: VIEWER }
}

impl Cluster {
    /// All policies that are looked at, or those of one namespace. One that does not parse hides no other.
    pub(super) async fn policies(&self, namespace: Option<&str>) -> Done<PolicyList> {
        let namespace = namespace.or(self.scope.as_deref());
        let all = ListParams::default();
        let policies = self.api::<DeserializeGuard<RegionFailoverPolicy>>(namespace);
        let journals = self.api::<DeserializeGuard<FailoverJournal>>(namespace);
        let (of_policies, of_journals) =
            (asked("list", POLICIES, namespace), asked("list", JOURNALS, namespace));
        let (policies, journals) = tokio::join!(
            call(&self.server, &of_policies, policies.list(&all)),
            call(&self.server, &of_journals, journals.list(&all)),
        );
        let readable = journals?.items.into_iter().filter_map(|guard| guard.0.ok());
        let journals: BTreeMap<PolicyName, Done<Kept>> =
            readable.map(|object| (name_of(&object.metadata), Kept::read(&object))).collect();
        let mut list = PolicyList { policies: Vec::new(), file_problems: Vec::new() };
        for guard in policies?.items {
            match guard.0 {
                Ok(object) => {
                    let name = name_of(&object.metadata);
                    let kept = journals.get(&name).map(Result::as_ref).transpose();
                    if let Err(why) = kept {
                        list.file_problems.push(show::unreadable(&name, &why.what));
                    }
                    let kept = kept.ok().flatten();
                    list.file_problems.extend(show::problems(&object, kept));
                    list.policies.push(show::summary(&object, kept));
                }
                Err(invalid) => {
                    list.file_problems.push(show::unreadable(&name_of(&invalid.metadata), &invalid.error));
                }
            }
        }
        list.policies.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    /// The policy's object and its journal; `None` before the first pass.
    pub(super) async fn both(&self, name: &PolicyName) -> Done<(RegionFailoverPolicy, Option<Kept>)> {
        let (object, kept) = tokio::join!(self.policy_object(name), self.journal(name));
        Ok((object?, kept?))
    }

    /// The policy's object.
    pub(super) async fn policy_object(&self, name: &PolicyName) -> Done<RegionFailoverPolicy> {
        let (namespace, short) = split(name);
        let asked = asked("get", POLICIES, Some(namespace));
        let api = self.api::<RegionFailoverPolicy>(Some(namespace));
        Trouble::absent(call(&self.server, &asked, api.get(short)).await)?
            .ok_or_else(|| Failure::new(Code::NotFound, format!("there is no policy {name}")))
    }

    /// The policy's journal.
    pub(super) async fn journal(&self, name: &PolicyName) -> Done<Option<Kept>> {
        let (namespace, short) = split(name);
        let asked = asked("get", JOURNALS, Some(namespace));
        let api = self.api::<FailoverJournal>(Some(namespace));
        let object = Trouble::absent(call(&self.server, &asked, api.get(short)).await)?;
        object.map(|object| Kept::read(&object)).transpose()
    }

    /// All about one policy.
    pub(super) async fn policy(&self, name: &PolicyName) -> Done<PolicyStatus> {
        let (object, kept) = self.both(name).await?;
        Ok(show::status(&object, kept.as_ref(), Clock::system().now()))
    }

    /// What the objects say about why.
    pub(super) async fn explanation(&self, name: &PolicyName) -> Done<Explanation> {
        let (object, kept) = self.both(name).await?;
        show::explanation(&object, kept.as_ref())
    }

    /// The plan of the run under way. Without one there is none here: a plan is made from what the operator sees.
    pub(super) async fn plan(&self, name: &PolicyName) -> Done<PlanPreview> {
        let (object, kept) = self.both(name).await?;
        let Some(run) = kept.as_ref().and_then(Kept::active) else {
            return Err(show::no_plan(&object, kept.as_ref()));
        };
        // The hash of a version that was told before the plan is read: consent never reaches a newer plan than is shown.
        let told = self.object_of(name, run).await?.and_then(|object| object.status?.plan_hash);
        let kept = self.journal(name).await?;
        match kept.as_ref().and_then(Kept::active) {
            Some(run) => Ok(show::preview(run, told)),
            None => Err(show::no_plan(&object, kept.as_ref())),
        }
    }

    /// The runs of a policy, newest first.
    pub(super) async fn runs(&self, name: &PolicyName) -> Done<RunList> {
        let (namespace, short) = split(name);
        let asked = asked("list", RUNS, Some(namespace));
        let api = self.api::<DeserializeGuard<FailoverRun>>(Some(namespace));
        let of_policy = ListParams::default().fields(&format!("spec.policy={short}"));
        let (kept, listed) =
            tokio::join!(self.journal(name), call(&self.server, &asked, api.list(&of_policy)));
        let newest = kept?.and_then(|kept| kept.journal.run);
        let mut ended: Vec<(String, Run)> = Vec::new();
        for guard in listed?.items {
            let record = match guard.0 {
                Ok(object) => show::record(&object).map(|run| Some((object_name(&object), run?))),
                Err(invalid) => Err(show::other_version(name_of(&invalid.metadata).as_str(), &invalid.error)),
            };
            match record {
                Ok(record) => ended.extend(record),
                Err(failure) => self.screen.note(&format!("left out of the list: {}", failure.what)),
            }
        }
        ended.sort_by_key(|(_, run)| std::cmp::Reverse(run.epoch));
        let mut runs: Vec<_> = newest.iter().map(|run| summarize_run(name, run)).collect();
        for (object, run) in
            ended.iter().filter(|(_, run)| newest.as_ref().is_none_or(|n| n.epoch != run.epoch))
        {
            runs.push(crate::api::RunSummary { name: object.as_str().into(), ..summarize_run(name, run) });
        }
        Ok(RunList { runs })
    }

    /// One run in full: from its own object once it has ended, before that from the journal.
    pub(super) async fn run(&self, name: &str, policy: Option<&str>) -> Done<RunReport> {
        let object = self.find_run(name, policy).await?;
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let policy = full_name(namespace, object.spec.policy.as_str());
        if let Some(run) = show::record(&object)? {
            return Ok(RunReport { policy, run, active: false });
        }
        let run = self.journal(&policy).await?.and_then(|kept| kept.journal.run);
        match run.filter(|run| show::belongs(&object, run)) {
            Some(run) => Ok(RunReport { active: !run.phase.is_final(), policy, run }),
            None => Err(show::not_claimed(&object)),
        }
    }

    async fn find_run(&self, name: &str, policy: Option<&str>) -> Done<FailoverRun> {
        let missing = || Failure::new(Code::NotFound, format!("there is no run {name}"));
        let of_policy = policy.and_then(|policy| policy.split_once('/')).map(|(namespace, _)| namespace);
        if let Some(namespace) = of_policy.or(self.scope.as_deref()) {
            return self.run_object(namespace, name).await?.ok_or_else(missing);
        }
        let api = self.api::<DeserializeGuard<FailoverRun>>(None);
        let of_name = ListParams::default().fields(&format!("metadata.name={name}"));
        let listed = call(&self.server, &asked("list", RUNS, None), api.list(&of_name)).await?;
        let mut found = listed.items.into_iter();
        match (found.next(), found.next()) {
            (Some(guard), None) => guard.0.map_err(|invalid| show::other_version(name, &invalid.error)),
            (None, _) => Err(missing()),
            (Some(_), Some(_)) => {
                let what = format!("{name} is the name of runs in more than one namespace");
                Err(Failure::usage(what).fix("Name one with -n NAMESPACE."))
            }
        }
    }

    /// A run's object by its name.
    pub(super) async fn run_object(&self, namespace: &str, name: &str) -> Done<Option<FailoverRun>> {
        let api = self.api::<FailoverRun>(Some(namespace));
        Trouble::absent(call(&self.server, &asked("get", RUNS, Some(namespace)), api.get(name)).await)
    }

    /// The object that tells of a run of the journal; its name may have been another run's before.
    pub(super) async fn object_of(&self, policy: &PolicyName, run: &Run) -> Done<Option<FailoverRun>> {
        let (namespace, _) = split(policy);
        for name in [run.name.to_string(), format!("{}-e{}", run.name, run.epoch.0)] {
            let found = self.run_object(namespace, &name).await?;
            if let Some(object) = found.filter(|object| show::belongs(object, run)) {
                return Ok(Some(object));
            }
        }
        Ok(None)
    }
}

fn object_name(object: &FailoverRun) -> String {
    object.metadata.name.clone().unwrap_or_default()
}

fn name_of(meta: &ObjectMeta) -> PolicyName {
    full_name(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}
