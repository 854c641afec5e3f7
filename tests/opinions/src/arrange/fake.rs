//! Arranged in the fake, by its handle.

use super::{Arrange, GlobalDatabase};
use crate::aws::ACCESS_KEY;
use crate::bench::{EAST, WEST};
use anyhow::Context;
use async_trait::async_trait;
use jiff::Timestamp;
use muster_aws_fake::{FakeAws, NewMember, RdsPace};
use std::time::Duration;

const ACCOUNT: &str = "123456789012";
/// A step that no case needs to see.
const STEP: Duration = Duration::from_millis(100);
/// Each of the two steps of a move: a case has to see that it is under way, also on a busy machine.
const MOVE: Duration = Duration::from_millis(700);

/// The fake, at a quick pace and at the date of today.
pub(crate) struct InFake {
    fake: FakeAws,
}

impl InFake {
    pub(crate) fn new(fake: FakeAws) -> Self {
        fake.add_account(ACCESS_KEY, ACCOUNT);
        // The SDK compares the end of a session with the calendar of this machine.
        fake.set_date(Timestamp::now());
        fake.set_rds_pace(RdsPace {
            pending: MOVE,
            moving: MOVE,
            rejoin: STEP,
            cancelling: STEP,
            endpoint: STEP,
            snapshot: STEP,
            promote: STEP,
            reboot: STEP,
            rename_pending: Duration::ZERO,
            rename: STEP,
            delete: STEP,
            backup: STEP,
            detach: STEP,
            stop: STEP,
            start: STEP,
            create: STEP,
        });
        Self { fake }
    }
}

#[async_trait(?Send)]
impl Arrange for InFake {
    async fn zone(&self, name: &str) -> anyhow::Result<String> {
        Ok(self.fake.create_zone(ACCOUNT, name, STEP).await?.id)
    }

    async fn bucket(&self, name: &str, region: &str) -> anyhow::Result<()> {
        self.fake.create_bucket(ACCOUNT, name, region);
        Ok(())
    }

    async fn publish(&self, bucket: &str, key: &str, _region: &str) -> anyhow::Result<()> {
        self.fake.allow_anonymous_read(bucket, key);
        Ok(())
    }

    async fn global_database(&self, name: &str) -> anyhow::Result<GlobalDatabase> {
        let members = [(EAST, "east"), (WEST, "west")].map(|(region, side)| NewMember {
            region: region.to_owned(),
            cluster: format!("{name}-{side}"),
            instances: vec![format!("{name}-{side}-1")],
        });
        let created = self.fake.create_global_cluster(ACCOUNT, name, &members);
        let cluster = |region| created.clusters.get(region).cloned().context("the fake made no such member");
        Ok(GlobalDatabase { name: name.to_owned(), east: cluster(EAST)?, west: cluster(WEST)? })
    }

    async fn instance(&self, region: &str, name: &str) -> anyhow::Result<String> {
        Ok(self.fake.create_instance(ACCOUNT, region, name))
    }

    async fn role(&self, name: &str, external_id: Option<&str>) -> anyhow::Result<String> {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
        self.fake.add_role(&arn, external_id, ACCOUNT);
        Ok(arn)
    }
}
