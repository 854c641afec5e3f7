//! The fake against the whole suite, without any network but loopback.

use muster_aws_opinions::play_fake;

/// Fewer would mean that cases were lost.
const FEWEST: usize = 40;

#[tokio::test]
async fn every_statement_about_aws_holds_at_the_fake() {
    let cases = play_fake().await.expect("the fake agrees with every case");
    assert!(cases >= FEWEST, "only {cases} cases");
}
