//! One call of the pure core, on what real passes were made from: a calm one, and each recorded one of a failover.

use super::failover::{Ground, Inputs, inputs_of};
use super::series::Series;
use super::{Bench, Figures, Part};
use anyhow::ensure;
use muster_core::decide::decide;
use std::hint::black_box;
use std::time::Instant;

pub(super) const PART: Part = Part {
    name: "decide",
    measures: "one decision of the pure core, for a policy of five probes and two vantages",
    run: |bench, figures| Box::pin(measure(bench, figures)),
};

/// Calls timed in all, by number of regions and kind of pass.
const CALLS: usize = 20_000;
const WARM_UP: usize = 500;

async fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let ground = Ground::open(&bench.folder).await?;
    for regions in [&["east", "west"][..], &["east", "west", "south"]] {
        let count = regions.len();
        let failover = ground.fail_over(&format!("bench/decide-{count}"), regions).await?;
        ensure!(!decides_to_act(&failover.calm), "the calm pass is none");
        let (calm, run) = (vec![failover.calm], inputs_of(failover.frames));
        figures.spread(&format!("decide_calm{count}_us"), &time(&calm), &say("a calm pass", count, 1));
        figures.spread(
            &format!("decide_run{count}_us"),
            &time(&run),
            &say("passes of a run", count, run.len()),
        );
    }
    Ok(())
}

fn say(passes: &str, regions: usize, inputs: usize) -> String {
    format!("{passes}, {regions} regions, {inputs} recorded, us")
}

fn decides_to_act(inputs: &Inputs) -> bool {
    let decision = decide(&inputs.policy, &inputs.journal, &inputs.seen, inputs.now);
    !decision.effects.is_empty() || decision.next != inputs.journal
}

/// Times calls one by one, going round all inputs.
fn time(inputs: &[Inputs]) -> Series {
    let call = |i: &Inputs| decide(&i.policy, black_box(&i.journal), black_box(&i.seen), i.now);
    for each in inputs.iter().cycle().take(WARM_UP) {
        black_box(call(each));
    }
    let mut series = Series::default();
    for each in inputs.iter().cycle().take(CALLS) {
        let began = Instant::now();
        let decision = black_box(call(each));
        series.push_us(began.elapsed());
        drop(decision);
    }
    series
}
