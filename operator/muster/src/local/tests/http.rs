use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_token_nothing_is_said() {
    let place = Place::new();
    let server = place.start("one").await;
    for path in ["/v1/health", "/v1/policies", "/v1/events", "/no/such/path"] {
        for token in [None, Some("wrong")] {
            let (status, answer) = call(server.local.listen, "GET", path, token, "").await;
            assert_eq!((status, &answer["reason"]), (401, &"Unauthorized".into()), "{path}");
        }
    }
    let (status, _) = server.get("/v1/health").await;
    assert_eq!(status, 200);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_names_its_field() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    in_force(&server).await;
    let runs = "/v1/policies/shop/checkout/runs";
    let cases = [
        (runs, r#"{"kind":"Failover","reason":"r"}"#, "by"),
        (runs, r#"{"kind":"Sideways","reason":"r","by":"kim"}"#, "kind"),
        (runs, r#"{"kind":"Failover","reason":"r","by":"kim","too":"west"}"#, "too"),
        (runs, r#"{"kind":"Failover","reason":"r","by":"kim","to":"north"}"#, "to"),
        (runs, r#"{"kind":"Failover","reason":" ","by":"kim"}"#, "reason"),
        (
            runs,
            r#"{"kind":"Failover","reason":"r","by":"kim","approve":{"planHash":"h","validFor":"5m"}}"#,
            "approve.validFor",
        ),
        (
            "/v1/policies/shop/checkout/approve",
            r#"{"run":"r","planHash":"h","by":"kim","validFor":0}"#,
            "validFor",
        ),
        ("/v1/policies/shop/checkout/pause", r#"{"by":"","reason":"r"}"#, "by"),
    ];
    for (path, body, field) in cases {
        let (status, answer) = server.post(path, body).await;
        assert_eq!((status, &answer["field"]), (400, &field.into()), "{body}: {answer}");
    }
    let (status, answer) = server.get("/v1/policies/shop/checkout/plan?kind=Sideways").await;
    assert_eq!((status, &answer["reason"]), (400, &"BadInput".into()), "{answer}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_404_and_what_a_rule_refuses_is_409() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    in_force(&server).await;
    for path in [
        "/v1/policies/shop/other",
        "/v1/policies/shop/other/explain",
        "/v1/runs/none",
        "/v1/runs/none/frames",
    ] {
        let (status, answer) = server.get(path).await;
        assert_eq!((status, &answer["reason"]), (404, &"NotFound".into()), "{path}");
    }
    let abort = r#"{"run":"none","by":"kim","reason":"r"}"#;
    let (status, answer) = server.post("/v1/policies/shop/checkout/abort", abort).await;
    assert_eq!((status, &answer["reason"]), (409, &"NoActiveRun".into()), "{answer}");
    let (status, answer) = server.get("/v1/policies/shop/checkout/plan?kind=Failover").await;
    assert_eq!((status, &answer["reason"]), (409, &"ActiveRegionUnknown".into()), "{answer}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_recorded_shown_and_undone() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    in_force(&server).await;
    let of = "/v1/policies/shop/checkout";
    let (status, _) = server.post(&format!("{of}/pause"), r#"{"by":"kim","reason":"maintenance"}"#).await;
    assert_eq!(status, 200);
    server.until(of, "the pause is shown", |a| a["summary"]["paused"] == "kim: maintenance").await;
    server.post(&format!("{of}/resume"), r#"{"by":"kim"}"#).await;
    server.until(of, "the pause is over", |a| a["summary"]["paused"].is_null()).await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_explain_and_probe_say_what_is_not_known() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    let status = in_force(&server).await;
    assert_eq!(status["decision"]["rule"], "ActiveRegionUnknown");
    assert!(status["facts"]["data"][0]["unknown"].as_str().is_some_and(|why| why.contains("refused")));
    let (code, explained) = server.get("/v1/policies/shop/checkout/explain").await;
    assert_eq!((code, &explained["blocked"][0]["name"]), (200, &"ActiveRegionKnown".into()));
    let (code, probed) = server.post("/v1/policies/shop/checkout/probe", "").await;
    let results = probed["results"].as_array().unwrap();
    assert_eq!(code, 200);
    assert!(results.len() >= 3 && results.iter().all(|r| r["result"] == "Fail"), "{probed}");
    server.end().await;
}
