use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_on_one_state_one_acts_and_the_other_takes_over_at_once_when_it_ends() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    // Longer than the second may need to take over: what ends gives its lease back.
    let lasting = |name| Settings {
        test: TestArgs { lease_ms: Some(60_000), ..TestArgs::default() },
        ..place.settings(name)
    };
    let first = place.start_with(&lasting("one")).await;
    in_force(&first).await;
    let second = place.start_with(&lasting("two")).await;
    let standby =
        second.until("/v1/health", "the second says who acts", |a| a["leaseHolder"].is_string()).await;
    assert_eq!(standby["role"], "Standby");
    assert!(standby["leaseHolder"].as_str().is_some_and(|holder| holder.starts_with("one-")));
    let of = "/v1/policies/shop/checkout";
    let seen = second
        .until(of, "the second shows the journal", |a| a["journal"]["state"]["owner"].is_string())
        .await;
    assert_eq!(seen["role"], "Standby");
    let (status, refused) = second.get(&format!("{of}/explain")).await;
    assert_eq!((status, &refused["reason"]), (503, &"Standby".into()));

    // A wish that reaches the one that looks on is taken in all the same, and the one that acts sees it.
    second.post(&format!("{of}/pause"), r#"{"by":"kim","reason":"r"}"#).await;
    first.until(of, "the first sees the pause", |a| a["summary"]["paused"].is_string()).await;

    let ended = tokio::time::Instant::now();
    first.end().await;
    second.until("/v1/health", "the second acts", |a| a["role"] == "Active").await;
    assert!(ended.elapsed() < Duration::from_secs(30), "{:?}", ended.elapsed());
    in_force(&second).await;
    second.end().await;
}
