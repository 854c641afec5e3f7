//! How a run ended, told by the regions' parts: as the targets show it, and as the journal says.

use super::cloud::{Cloud, instance};
use super::control::Under;
use super::databases::Databases;
use super::items::Items;
use super::region::{Parts, Region};
use super::stage::Way;
use muster::demo::postgres::view;
use muster_core::ids::RegionName;
use muster_core::journal::{Journal, Run, RunKind};
use std::fmt;

/// What is told of the global database.
pub(super) const MEMBERS: &[&str] = &["left", "taken", "writer by RDS"];
/// What is told of the instance and its replica.
pub(super) const REPLICAS: &[&str] =
    &["left of the replicas", "taken of the replicas", "left by RDS", "taken by RDS"];
const WRITE: &str = "insert into notes (item) values ('end'); delete from notes where item = 'end'";
/// What is otherwise once the target of a failover was detached, and a person has stopped the old writer.
const ALONE: &[(&str, &str)] = &[("left", SILENT), ("writer by RDS", "left"), ("not rejoined", "left")];
/// What does not answer.
const SILENT: &str = "silent";

/// An end, to be compared word by word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct End(Vec<(&'static str, String)>);

impl End {
    /// As it has to be, whatever was in the way.
    pub(super) fn wanted(under: Under, kind: RunKind, way: Way) -> Self {
        let mut all = Self::targets_wanted();
        all.extend([
            ("kind", format!("{kind:?}")),
            ("phase", "Completed".to_owned()),
            ("outcome", "Some(Succeeded)".to_owned()),
            ("active", "taken".to_owned()),
            ("may be writable", "taken".to_owned()),
            ("not rejoined", String::new()),
            ("waits for", "nothing".to_owned()),
        ]);
        if kind == RunKind::Failover {
            all.push(("recovery time", "measured".to_owned()));
        }
        let wanted = Self(all).and(under.wanted_objects(kind, way));
        if way == Way::Detached { wanted.but(ALONE) } else { wanted }
    }

    /// The same, where these are otherwise.
    fn but(mut self, otherwise: &[(&str, &str)]) -> Self {
        for (what, is) in &mut self.0 {
            let other = otherwise.iter().find(|(name, _)| name == what);
            if let Some((_, other)) = other {
                (*other).clone_into(is);
            }
        }
        self
    }

    /// The same, with this to be compared too.
    pub(super) fn and(mut self, more: Vec<(&'static str, String)>) -> Self {
        self.0.extend(more);
        self
    }

    fn targets_wanted() -> Vec<(&'static str, String)> {
        [
            ("left", "streaming standby"),
            ("taken", "writer"),
            ("left of the replicas", "streaming standby"),
            ("taken of the replicas", "writer"),
            ("writer by RDS", "taken"),
            ("left by RDS", "available, a replica of taken"),
            ("taken by RDS", "available"),
            ("name", "taken taken taken taken"),
            ("name without Muster", "taken"),
        ]
        .map(|(what, is)| (what, is.to_owned()))
        .into()
    }

    /// The targets alone, as they have to be.
    pub(super) fn calm() -> Self {
        Self(Self::targets_wanted())
    }

    /// Looks at the targets, and takes the journal's word for the rest.
    pub(super) async fn look(
        (cloud, items): (&Cloud, &Items),
        journal: &Journal,
        run: &Run,
        parts: Parts,
    ) -> anyhow::Result<Self> {
        let Self(mut all) = Self::look_at_targets((cloud, items), parts).await?;
        let state = &journal.state;
        let names = |regions: &mut dyn Iterator<Item = &RegionName>| {
            regions.map(|region| parts.name_of(region)).collect::<Vec<_>>().join("+")
        };
        let active = state.active_region.as_ref().map_or_else(|| "none".to_owned(), |r| parts.name_of(r));
        all.extend([
            ("kind", format!("{:?}", run.kind)),
            ("phase", format!("{:?}", run.phase)),
            ("outcome", format!("{:?}", run.outcome)),
            ("active", active),
            ("may be writable", names(&mut state.may_be_writable.iter())),
            ("not rejoined", names(&mut state.outcasts.keys())),
            ("waits for", state.needs_ack.clone().unwrap_or_else(|| "nothing".to_owned())),
        ]);
        if run.kind == RunKind::Failover {
            let measured = run.measured.rto.map_or("not measured", |_| "measured");
            all.push(("recovery time", measured.to_owned()));
        }
        Ok(Self(all))
    }

    /// Looks at what was moved: both databases of each item by SQL, RDS, every name server, and the records' roles.
    pub(super) async fn look_at_targets(
        (cloud, items): (&Cloud, &Items),
        parts: Parts,
    ) -> anyhow::Result<Self> {
        let known = |region: Option<Region>| region.map_or("none", |region| parts.name(region)).to_owned();
        let answers: Vec<String> = cloud
            .answers()
            .await
            .into_iter()
            .map(|answer| {
                let Some(address) = answer else { return SILENT.to_owned() };
                let region = Region::ALL.into_iter().find(|region| region.front() == address);
                region.map_or_else(|| address.to_string(), |region| parts.name(region).to_owned())
            })
            .collect();
        let settled = match cloud.markers_on().as_slice() {
            [] => known(cloud.primary().await?),
            on => format!("held by {} markers", on.len()),
        };
        Ok(Self(vec![
            ("left", role(&items.orders, parts.left).await),
            ("taken", role(&items.orders, parts.taken).await),
            ("left of the replicas", role(&items.reports, parts.left).await),
            ("taken of the replicas", role(&items.reports, parts.taken).await),
            ("writer by RDS", known(cloud.writer().await?)),
            ("left by RDS", instance_by_rds(cloud, parts, parts.left).await?),
            ("taken by RDS", instance_by_rds(cloud, parts, parts.taken).await?),
            ("name", answers.join(" ")),
            ("name without Muster", settled),
        ]))
    }

    /// The same, of some of what is told alone.
    pub(super) fn only(self, names: &[&str]) -> Self {
        Self(self.0.into_iter().filter(|(what, _)| names.contains(what)).collect())
    }

    /// What is not as in `wanted`.
    pub(super) fn differences(&self, wanted: &Self) -> Vec<String> {
        let is = |what: &str| self.0.iter().find(|(name, _)| *name == what).map_or("", |(_, is)| is);
        let differ = wanted.0.iter().filter(|(what, wanted)| is(what) != wanted);
        differ.map(|(what, wanted)| format!("{what}: {} instead of {wanted}", is(what))).collect()
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<String> = self.0.iter().map(|(what, is)| format!("{what} {is}")).collect();
        f.write_str(&told.join(", "))
    }
}

/// An instance's status, and what it replicates from.
async fn instance_by_rds(cloud: &Cloud, parts: Parts, region: Region) -> anyhow::Result<String> {
    let Some(word) = cloud.instance_word(region, &instance(region)).await? else {
        return Ok("no such instance".to_owned());
    };
    let Some(source) = word.source else { return Ok(word.status) };
    let known = Region::ALL.into_iter().find(|region| Cloud::instance_arn(*region) == source);
    let source = known.map_or(source.as_str(), |region| parts.name(region));
    Ok(format!("{}, a replica of {source}", word.status))
}

/// A writer takes a real write of the application's.
async fn role(databases: &Databases, region: Region) -> String {
    let Ok(session) = databases.superuser(region).await else { return SILENT.to_owned() };
    let Ok(seen) = view(&session).await else { return SILENT.to_owned() };
    let writes = match databases.application(region).await {
        Ok(Some(application)) => application.batch_execute(WRITE).await.is_ok(),
        Ok(None) | Err(_) => false,
    };
    let role = match (seen.in_recovery, writes, seen.streaming) {
        (false, true, _) => "writer",
        (false, false, _) => "writer that refuses",
        (true, true, _) => "standby that writes",
        (true, false, true) => "streaming standby",
        (true, false, false) => "standby that receives nothing",
    };
    role.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_differs_where_a_word_does_and_where_one_is_missing() {
        let wanted = End::calm();
        assert_eq!(wanted.differences(&wanted), [""; 0]);
        let mut other = wanted.clone();
        other.0.retain(|(what, _)| *what != "left");
        other.0.push(("left", "writer".to_owned()));
        assert_eq!(other.differences(&wanted), ["left: writer instead of streaming standby"]);
    }
}
