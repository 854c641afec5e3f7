//! A region dies, or stands still and goes on later.

use super::stage::{PATIENCE, Setting, Stage, east, now, span, west};
use super::{Bench, Case};
use anyhow::ensure;
use muster::demo::clients::Pace;
use muster::demo::policy::PolicyOptions;
use muster_core::time::Millis;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "kill",
        proves: "a dead region is left within detection, fence, promotion, TTL and half a second",
        run: |bench| Box::pin(async move { bench.play(at_full_pace, kill).await }),
    },
    Case {
        name: "freeze",
        proves: "a fenced primary acknowledges nothing after its thaw",
        run: |bench| Box::pin(async move { bench.play(|_| {}, freeze).await }),
    },
    Case {
        name: "freeze-without-fence",
        proves: "the same test without the fence finds writes, so it can fail",
        run: |bench| Box::pin(freeze_without_fence(bench)),
    },
];

/// TTL of the public name in the world's policy.
const TTL: Millis = Millis::from_secs(2);
/// What may come on top of the parts that are named.
const SLACK: Millis = Millis(500);

fn at_full_pace(setting: &mut Setting) {
    setting.spec.policy = PolicyOptions::default();
}

async fn kill(stage: &Stage) -> anyhow::Result<String> {
    let customers = stage.world.write_outside(Pace::default());
    customers.wait_for(20, PATIENCE).await?;
    let fault = now();
    stage.world.kill(&east());
    let run = stage.succeeded().await?;
    customers.wait_for(20, PATIENCE).await?;
    let ledger = customers.stop().await;
    ensure!(!stage.is_standby(&west()).await?, "west is not writable");
    let numbers = PolicyOptions::default();
    let detection = Millis(numbers.probe_every_ms).times(u64::from(numbers.failures));
    let (clock, measured) = (&run.clock, &run.measured);
    let seen = span("detection", clock.first_failure, clock.detected)?;
    let fence = span("the fence", clock.decided, clock.fenced)?;
    let promotion = span("the promotion", clock.pivot, clock.promoted)?;
    let rto = span("the outage", clock.first_failure, clock.first_success)?;
    let bound = detection.plus(fence).plus(promotion).plus(TTL).plus(SLACK);
    let gap = ledger.longest_gap(fault).map(|gap| gap.length()).unwrap_or_default();
    let figures = format!(
        "RTO {rto} of at most {bound} (detection {detection}, seen in {seen}; fence {fence}; promotion {promotion}; \
         TTL {TTL}; {SLACK}); predicted {}; clients waited {gap}",
        run.predicted.rto
    );
    ensure!(measured.rto == Some(rto), "the report says {:?}; {figures}", measured.rto);
    ensure!(rto <= bound, "too long: {figures}");
    Ok(figures)
}

async fn freeze(stage: &Stage) -> anyhow::Result<String> {
    let customers = stage.world.write_outside(Pace::default());
    let clerks = stage.world.write_inside(&east(), Pace { clients: 4, ..Pace::default() });
    customers.wait_for(20, PATIENCE).await?;
    clerks.wait_for(20, PATIENCE).await?;
    stage.world.freeze(&east());
    let run = stage.succeeded().await?;
    customers.wait_for(20, PATIENCE).await?;
    let before = clerks.ledger().acknowledged();
    stage.world.thaw(&east());
    let run = stage.rejoined(&east(), &run.name).await?;
    let (ledger, seen) = (clerks.stop().await, customers.stop().await);
    let late = ledger.acknowledged() - before;
    ensure!(late == 0, "{late} writes were acknowledged by the old primary after its thaw");
    let lost = stage.world.account(&ledger, &west()).await?.lost.len()
        + stage.world.account(&seen, &west()).await?.lost.len();
    let proof = run.proofs.get(&east()).map(|p| format!("{:?}", p.class)).unwrap_or_default();
    Ok(format!("0 writes acknowledged after the thaw ({before} before); proof {proof}; {lost} writes lost"))
}

fn take_fence_out(setting: &mut Setting) {
    setting.spec.policy.fences.clear();
    setting.spec.policy.without_fence = Some("{maxLoss: 60s, after: 1s}".to_owned());
    // Else the old primary would be rewound while it is counted.
    setting.spec.policy.rejoin = false;
}

async fn freeze_without_fence(bench: Bench) -> anyhow::Result<String> {
    let story = async |stage: &Stage| {
        let clerks = stage.world.write_inside(&east(), Pace { clients: 4, ..Pace::default() });
        clerks.wait_for(20, PATIENCE).await?;
        stage.world.freeze(&east());
        let run = stage.succeeded().await?;
        let before = clerks.ledger().acknowledged();
        stage.world.thaw(&east());
        clerks.wait_for(1, PATIENCE).await?;
        let late = clerks.stop().await.acknowledged() - before;
        let proof = run.proofs.get(&east()).map(|p| p.saw.clone()).unwrap_or_default();
        Ok(format!("{late} writes acknowledged on the old primary after the thaw; {proof}"))
    };
    bench.play(take_fence_out, story).await
}
