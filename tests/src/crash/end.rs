//! How a run ended, told by the regions' parts: `left` and `taken`.

use anyhow::Context;
use muster::api::PolicyStatus;
use muster::demo::World;
use muster::demo::addresses::{Kind, Place};
use muster::demo::nameserver::RECORD;
use muster::demo::postgres::view;
use muster::demo::resolver::ask_address;
use muster_core::ids::RegionName;
use std::fmt;
use std::time::Duration;

/// The regions of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Parts {
    /// The region that is left.
    pub(crate) left: RegionName,
    /// The region that takes over.
    pub(crate) taken: RegionName,
}

impl Parts {
    fn name<'n>(&self, region: &'n RegionName) -> &'n str {
        match region {
            r if *r == self.left => "left",
            r if *r == self.taken => "taken",
            other => other.as_str(),
        }
    }
}

/// An end, to be compared word by word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct End(Vec<(&'static str, String)>);

impl End {
    /// Looks at the targets and at the controller's journal.
    pub(crate) async fn look(world: &World, status: &PolicyStatus, parts: &Parts) -> anyhow::Result<Self> {
        let run = status.journal.run.as_ref().context("there is no run")?;
        let state = &status.journal.state;
        let names = |regions: &mut dyn Iterator<Item = &RegionName>| {
            let mut all: Vec<&str> = regions.map(|r| parts.name(r)).collect();
            all.sort_unstable();
            all.join("+")
        };
        let active = state.active_region.as_ref().map_or("none", |r| parts.name(r));
        Ok(Self(vec![
            ("phase", format!("{:?}", run.phase)),
            ("outcome", format!("{:?}", run.outcome)),
            ("active", active.to_owned()),
            ("may be writable", names(&mut state.may_be_writable.iter())),
            ("not rejoined", names(&mut state.outcasts.keys())),
            ("left", role(world, &parts.left).await?),
            ("taken", role(world, &parts.taken).await?),
            ("name", points_to(world, parts).await?),
        ]))
    }

    /// What is not as in `undisturbed`.
    pub(crate) fn differences(&self, undisturbed: &Self) -> Vec<String> {
        let pairs = self.0.iter().zip(&undisturbed.0);
        let differ = pairs.filter(|(now, then)| now != then);
        differ.map(|(now, then)| format!("{}: {} instead of {}", now.0, now.1, then.1)).collect()
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<String> = self.0.iter().map(|(what, is)| format!("{what} {is}")).collect();
        f.write_str(&told.join(", "))
    }
}

async fn role(world: &World, region: &RegionName) -> anyhow::Result<String> {
    let view = view(&world.admin(region).await?).await?;
    let role = match (view.in_recovery, view.streaming) {
        (false, _) => "primary",
        (true, true) => "streaming standby",
        (true, false) => "standby that receives nothing",
    };
    Ok(role.to_owned())
}

async fn points_to(world: &World, parts: &Parts) -> anyhow::Result<String> {
    let server = world.addresses().own(&Place::NameServer, Kind::Dns);
    let address = ask_address(server, RECORD, Duration::from_secs(2)).await?.address;
    let region = world.regions().iter().find(|r| world.front(r).ip() == address);
    Ok(region.map_or_else(|| address.to_string(), |r| parts.name(r).to_owned()))
}
