//! Makes what must exist before objects can move a name ([`super::HealthObject`]), for a person and with that person's rights.
//!
//! ```text
//! look ──► steps ──► a person agrees ──► buckets ──► health checks ──► every checker has looked ──► records, in one batch
//! ```
//!
//! | call | what makes it idempotent | what is not protected |
//! |---|---|---|
//! | `CreateBucket` | a bucket that is the account's own is found first | - |
//! | `PutPublicAccessBlock`, `PutBucketPolicy` | what is there is read first, and kept | S3 compares nothing: who changes the policy in the same second loses it |
//! | `CreateHealthCheck` | what is there is found by what it watches; else by a reference that is the same for the same object | - |
//! | `ChangeResourceRecordSets` | two records that are right stay; else CREATE, with DELETE of exactly what was shown | - |
//!
//! Each step is safe to repeat, so whoever was stopped in the middle begins again, and a second time changes nothing.
//!
//! What this module must never do: run with the rights that Muster has, or add to them; change or delete what others made,
//! except simple records that the person gives up; write an object, which would move the name; show the secret.

mod buckets;
mod calls;
mod checks;
mod notice;
mod records;
pub mod wanted;

pub use buckets::Bucket;
pub use calls::{SetupCall, SetupError};
pub use checks::SlowCheck;

use super::health_object::MarkerPlace;
use crate::aws::Account;
use crate::dns::NameConfig;
use aws_sdk_route53::types::ResourceRecordSet;
use checks::Checks;
use muster_core::ids::RegionName;
use muster_core::secret::Secret;
use notice::Awaited;
use records::Standing;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wanted::{CHECK_FAILURES, PIN_STEM};

/// Where progress goes, a line at a time.
pub type Tell<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A name that is to be set up.
#[derive(Clone, Debug)]
pub struct NameSetup {
    /// Whose it is, for messages.
    pub label: String,
    /// The hosted zone's id.
    pub zone_id: String,
    /// The name, and where it points in each of its two regions.
    pub name: NameConfig,
    /// Where each region's object is.
    pub markers: BTreeMap<RegionName, MarkerPlace>,
    /// AWS' partition.
    pub partition: String,
    /// What the health checks look for, behind `muster-on-`.
    pub secret: Secret,
    /// The region that serves now, whose record becomes the primary one.
    pub active: RegionName,
    /// The health check that pins the name, if the policy names one.
    pub pin_check: Option<String>,
}

/// How the checkers are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two questions.
    pub poll: Duration,
    /// So long at most.
    pub patience: Duration,
}

/// Sets names up.
#[derive(Debug)]
pub struct Setup {
    /// As whom: the person's own credentials.
    pub account: Arc<Account>,
    /// The names.
    pub names: Vec<NameSetup>,
    /// Whether simple records of these names may be replaced.
    pub replaces: bool,
    /// How the checkers are waited for.
    pub pace: Pace,
}

/// Something that is made. Its text is for people.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// A bucket.
    CreateBucket(Bucket),
    /// Its policy may let everybody in.
    OpenBucket(Bucket),
    /// Everybody may read its objects.
    LetCheckersRead(Bucket),
    /// A health check that watches an object.
    CreateCheck {
        /// Which of the names.
        name: usize,
        /// Of which region.
        region: RegionName,
        /// Where the object is.
        place: MarkerPlace,
    },
    /// The health check that pins names.
    CreatePin,
    /// The two records of a name, once the checkers have looked.
    CreateRecords {
        /// Which of the names.
        name: usize,
        /// It, for people.
        record: String,
        /// What is deleted in the same batch.
        replaced: Vec<ResourceRecordSet>,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateBucket(Bucket { name, region, .. }) => {
                write!(f, "create the bucket {name} in {region}")
            }
            Self::OpenBucket(Bucket { name, .. }) => {
                write!(f, "let the policy of the bucket {name} be public")
            }
            Self::LetCheckersRead(Bucket { objects, .. }) => {
                write!(f, "let everybody read {}", objects.join(" and "))
            }
            Self::CreateCheck { region, place, .. } => {
                write!(
                    f,
                    "create the health check of {region}, which watches {} in {}",
                    place.key, place.bucket
                )
            }
            Self::CreatePin => f.write_str("create the health check that pins names, which is disabled"),
            Self::CreateRecords { record, replaced, .. } if replaced.is_empty() => {
                write!(f, "create the two failover records of {record}, once every checker has looked")
            }
            Self::CreateRecords { record, replaced, .. } => {
                let told = replaced.iter().map(records::tell).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "replace {told} by the two failover records of {record}, once every checker has looked"
                )
            }
        }
    }
}

/// The ids that a name's policy needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameIds {
    /// The health check of each region; `None`: it is to be created.
    pub checks: BTreeMap<RegionName, Option<String>>,
    /// The one that pins; `None`: it is to be created.
    pub pin: Option<String>,
}

/// What is there, and what is lacking.
#[derive(Clone, PartialEq, Debug)]
pub struct Blueprint {
    /// What is to be made, in this order.
    pub steps: Vec<Step>,
    /// What was found, name by name.
    pub ids: Vec<NameIds>,
    /// What was found and is slow. It is taken all the same.
    pub slow: Vec<SlowCheck>,
}

impl Setup {
    /// Looks what is there; changes nothing. An error if something is there that is in the way.
    pub async fn look(&self) -> Result<Blueprint, SetupError> {
        let mut steps = Vec::new();
        let Some(client) = self.route53().await else {
            return Ok(Blueprint { steps, ids: Vec::new(), slow: Vec::new() });
        };
        let listed = Checks::list(&client).await?;
        let mut ids = Vec::new();
        for name in &self.names {
            ids.push(find_ids(name, &listed)?);
        }
        share_pin(&mut ids);
        let slow = ids.iter().flat_map(|found| listed.slow_among(&found.checks)).collect();
        let records = self.look_at_records(&client, &ids).await?;
        for bucket in buckets::buckets_of(&self.names) {
            steps.extend(bucket.look(&self.account).await?);
        }
        for (index, (name, found)) in self.names.iter().zip(&ids).enumerate() {
            let lacking = name
                .markers
                .iter()
                .filter(|(region, _)| found.checks.get(*region).is_none_or(Option::is_none));
            steps.extend(lacking.map(|(region, place)| Step::CreateCheck {
                name: index,
                region: region.clone(),
                place: place.clone(),
            }));
        }
        if ids.iter().any(|found| found.pin.is_none()) {
            steps.push(Step::CreatePin);
        }
        steps.extend(records);
        Ok(Blueprint { steps, ids, slow })
    }

    /// Makes what is lacking, and gives the ids of all health checks. Stopped in the middle, it leaves what [`Self::look`]
    /// finds again.
    pub async fn carry_out(&self, blueprint: Blueprint, tell: Tell<'_>) -> Result<Vec<NameIds>, SetupError> {
        let Blueprint { steps, mut ids, slow } = blueprint;
        let Some(client) = self.route53().await else { return Ok(ids) };
        let (records, rest): (Vec<Step>, Vec<Step>) =
            steps.into_iter().partition(|step| matches!(step, Step::CreateRecords { .. }));
        for step in rest {
            self.make(&client, &step, &mut ids).await?;
            tell(&format!("done: {step}"));
        }
        notice::wait(&client, self.awaited(&records, &ids, &slow), self.pace, tell).await?;
        for step in records {
            self.make(&client, &step, &mut ids).await?;
            tell(&format!("done: {step}"));
        }
        Ok(ids)
    }

    /// `None`: there is nothing to set up.
    async fn route53(&self) -> Option<aws_sdk_route53::Client> {
        let region = &self.names.first()?.markers.values().next()?.aws_region;
        Some(self.account.route53_from(region).await)
    }

    async fn look_at_records(
        &self,
        client: &aws_sdk_route53::Client,
        ids: &[NameIds],
    ) -> Result<Vec<Step>, SetupError> {
        let mut steps = Vec::new();
        for (index, (name, found)) in self.names.iter().zip(ids).enumerate() {
            let pin = found.pin.as_deref();
            match records::look(client, name, &found.checks, pin, self.replaces).await? {
                Standing::Good => {}
                Standing::Free(replaced) => {
                    let record = name.name.record.clone();
                    steps.push(Step::CreateRecords { name: index, record, replaced });
                }
            }
        }
        Ok(steps)
    }

    /// The health checks of the names whose records are made next. One that was made here goes by fewer failures than a slow one.
    fn awaited(&self, records: &[Step], ids: &[NameIds], slow: &[SlowCheck]) -> Vec<Awaited> {
        let failures_of = |id: &str| {
            let known = slow.iter().find(|check| check.id == id);
            known.map_or(CHECK_FAILURES, |check| check.failures.max(CHECK_FAILURES))
        };
        let mut awaited = Vec::new();
        for step in records {
            let Step::CreateRecords { name, .. } = step else { continue };
            let (Some(setup), Some(found)) = (self.names.get(*name), ids.get(*name)) else { continue };
            for (region, id) in &found.checks {
                let about = format!("{} {region}", setup.label);
                awaited.extend(id.clone().map(|id| Awaited::new(about, failures_of(&id), id)));
            }
        }
        awaited
    }

    async fn make(
        &self,
        client: &aws_sdk_route53::Client,
        step: &Step,
        ids: &mut [NameIds],
    ) -> Result<(), SetupError> {
        let account = &self.account;
        match step {
            Step::CreateBucket(bucket) => bucket.create(account).await,
            Step::OpenBucket(bucket) => bucket.open(account).await,
            Step::LetCheckersRead(bucket) => bucket.let_read(account, self.pace.poll).await,
            Step::CreateCheck { name, region, place } => {
                let (Some(setup), Some(found)) = (self.names.get(*name), ids.get_mut(*name)) else {
                    return Ok(());
                };
                let config = checks::watching(place, &setup.partition, &setup.secret)?;
                let about = format!("health check of {region}");
                let id = checks::create(client, &place.reference_stem(), &config, &about).await?;
                found.checks.insert(region.clone(), Some(id));
                Ok(())
            }
            Step::CreatePin => {
                let about = "health check that pins names";
                let id = checks::create(client, PIN_STEM, &checks::pinning()?, about).await?;
                for found in ids.iter_mut() {
                    found.pin.get_or_insert_with(|| id.clone());
                }
                Ok(())
            }
            Step::CreateRecords { name, replaced, .. } => {
                let (Some(setup), Some(found)) = (self.names.get(*name), ids.get(*name)) else {
                    return Ok(());
                };
                let mut others = found.checks.iter().filter(|(region, _)| **region != setup.active);
                let check = others.find_map(|(_, id)| id.as_deref());
                records::create(client, setup, replaced, check.unwrap_or_default()).await
            }
        }
    }
}

/// One that any name has will do for all.
fn share_pin(ids: &mut [NameIds]) {
    let Some(known) = ids.iter().find_map(|found| found.pin.clone()) else { return };
    for found in ids {
        found.pin.get_or_insert_with(|| known.clone());
    }
}

fn find_ids(name: &NameSetup, listed: &Checks) -> Result<NameIds, SetupError> {
    let mut checks = BTreeMap::new();
    for (region, place) in &name.markers {
        checks.insert(region.clone(), listed.find(region, place, &name.secret)?);
    }
    Ok(NameIds { checks, pin: listed.find_pin(name.pin_check.as_deref())? })
}
