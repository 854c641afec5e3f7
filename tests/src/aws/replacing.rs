//! The old primary, which RDS leaves as it was, gives its name to a replica of the new one: after a run by Muster, as the policy
//! says, and by a person, as docs/aws.md tells, where no Muster is. A person deletes what was kept.
//!
//! ```text
//! ModifyDBInstance: another name ─► CreateDBInstanceReadReplica ─► it follows ─► DeleteDBInstance
//! ```
//! Each turn is taken until it comes off: whatever troubles RDS troubles this person too.
//!
//! What this module must never do: do what Muster has to; take two turns at once.

use super::cloud::{Cloud, instance};
use super::rds::InstanceWord;
use super::region::{Parts, Region};

const AVAILABLE: &str = "available";

/// What is done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    Rename,
    AwaitName,
    Create,
    AwaitReplica,
    Delete,
    Done,
}

impl Turn {
    const fn next(self) -> Self {
        match self {
            Self::Rename => Self::AwaitName,
            Self::AwaitName => Self::Create,
            Self::Create => Self::AwaitReplica,
            Self::AwaitReplica => Self::Delete,
            Self::Delete | Self::Done => Self::Done,
        }
    }
}

/// The replacement of one old primary.
pub(super) struct Replacing {
    old: Region,
    turn: Turn,
}

impl Replacing {
    /// Of the primary that a run with these parts left behind: Muster does it, and a person deletes what it kept.
    pub(super) const fn after(parts: Parts) -> Self {
        Self { old: parts.left, turn: Turn::AwaitReplica }
    }

    /// The same without a run: nobody writes, and a person does it all.
    pub(super) const fn of_a_rehearsal(parts: Parts) -> Self {
        Self { old: parts.left, turn: Turn::Rename }
    }

    /// Goes on as far as it comes; an error says what it waits for.
    pub(super) async fn go_on(&mut self, cloud: &Cloud) -> anyhow::Result<()> {
        while self.turn != Turn::Done {
            self.take_turn(cloud).await?;
            self.turn = self.turn.next();
        }
        Ok(())
    }

    async fn take_turn(&self, cloud: &Cloud) -> anyhow::Result<()> {
        let (region, name) = (self.old, instance(self.old));
        match self.turn {
            Turn::Rename => cloud.rename_instance(region, &away(region)).await,
            Turn::AwaitName => expect(cloud, region, &away(region), |word| word.status == AVAILABLE).await,
            Turn::Create => cloud.create_replica(region).await,
            Turn::AwaitReplica => {
                let source = Some(Cloud::instance_arn(region.other()));
                expect(cloud, region, &name, |word| word.status == AVAILABLE && word.source == source).await
            }
            Turn::Delete => {
                let kept = cloud.kept_instances(region).await?;
                let [kept] = kept.as_slice() else {
                    anyhow::bail!("not one old primary is kept, but {kept:?}")
                };
                cloud.delete_instance(region, kept).await
            }
            Turn::Done => Ok(()),
        }
    }
}

/// The name that an old primary gives way with, where a person renames it.
fn away(region: Region) -> String {
    format!("{}-old", instance(region))
}

async fn expect(
    cloud: &Cloud,
    region: Region,
    name: &str,
    holds: impl Fn(&InstanceWord) -> bool,
) -> anyhow::Result<()> {
    let word = cloud.instance_word(region, name).await?;
    anyhow::ensure!(word.as_ref().is_some_and(holds), "{name} is {word:?} by now");
    Ok(())
}
