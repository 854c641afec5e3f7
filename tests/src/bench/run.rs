//! The controller's own time in a failover run.

use super::failover::Ground;
use super::series::Series;
use super::{Bench, Figures, Part};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) const PART: Part = Part {
    name: "run",
    measures: "the controller's own time in a failover: all waits answered at once, the journal on a disk",
    run: |bench, figures| Box::pin(measure(bench, figures)),
};

const RUNS: usize = 120;
/// Before it counts: files grow, threads start.
const WARM_UP: usize = 3;
const GOAL_MS_P99: f64 = 250.0;
/// Durable writes by hand, to know the disk.
const WRITES: usize = 100;
const PAGE: [u8; 4096] = [7; 4096];

async fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let folder = bench.folder.clone();
    let disk = tokio::task::spawn_blocking(move || time_durable_writes(&folder)).await??;
    let ground = Ground::open(&bench.folder).await?;
    let [mut took, mut records, mut recording] = <[Series; 3]>::default();
    for n in 0..RUNS + WARM_UP {
        let failover = ground.fail_over(&format!("bench/run-{n:03}"), &["east", "west"]).await?;
        if n >= WARM_UP {
            took.push_ms(failover.took);
            // A run has tens of records at most.
            records.push(f64::from(u32::try_from(failover.frames.len())?));
            let spent = failover.frames.iter().map(|frame| frame.took.record_us).sum();
            recording.push_ms(Duration::from_micros(spent));
        }
    }
    figures.spread("fsync_ms", &disk, "one durable write of 4 KiB by hand, ms");
    figures.spread("run_records", &records, "durable records of a run");
    figures.spread("run_record_ms", &recording, "of it until the records were durable, ms");
    figures.spread("run_ms", &took, "verdict to recorded end of the run, ms");
    figures.expect_at_most("run_ms_p99", GOAL_MS_P99);
    Ok(())
}

fn time_durable_writes(folder: &Path) -> anyhow::Result<Series> {
    let mut file: File = tempfile::tempfile_in(folder)?;
    let mut series = Series::default();
    for _ in 0..WRITES {
        let began = Instant::now();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        series.push_ms(began.elapsed());
    }
    Ok(series)
}
