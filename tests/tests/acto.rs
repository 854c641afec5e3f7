//! A short form of `make acto`, so that every change is tried with some sequences of specs.

use muster_tests::acto::{Choice, run};
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_comes_from_any_state_to_the_one_that_a_spec_declares() -> anyhow::Result<()> {
    let seed = u64::from(uuid::Uuid::new_v4().as_fields().0);
    let binary = Some(Path::new(env!("CARGO_BIN_EXE_acto")).to_owned());
    let tally = run(&Choice { binary, seed, specs: 8, policies: 5, only: None }).await?;
    println!("{tally}");
    anyhow::ensure!(tally.is_good() && tally.specs() == 40, "seed {seed}: {tally}");
    Ok(())
}
