use super::*;
use tokio_util::task::AbortOnDropHandle;

fn report(vantage: &str, age: i64) -> String {
    format!(
        r#"{{"vantage":"{vantage}","policies":{{"shop/checkout":[{{"region":"east","probe":"api","result":"Fail","age":{age},"detail":"seen from {vantage}"}}],"shop/none":[]}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_needs_its_vantages_own_token_and_a_true_age() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    in_force(&server).await;
    let send = |vantage, token, age| {
        let (to, body) = (server.local.listen, report(vantage, age));
        async move { call(to, "POST", "/v1/vantage/report", token, &body).await }
    };
    let (status, _) = send("v1", None, 100).await;
    assert_eq!(status, 401);
    for (vantage, token) in [("v1", server.token.as_str()), ("v2", V1_TOKEN), ("controller", V1_TOKEN)] {
        let (status, reply) = send(vantage, Some(token), 100).await;
        assert_eq!(status, 200);
        assert!(reply["refused"]["shop/checkout"].is_string(), "{vantage}: {reply}");
    }
    let from_v1 = |a: &Value| a["failing"].to_string().contains("seen from v1");
    let (status, reply) = send("v1", Some(V1_TOKEN), -5).await;
    assert_eq!((status, reply["refused"]["shop/checkout"].is_null()), (200, true), "{reply}");
    let (_, shown) = server.get("/v1/policies/shop/checkout").await;
    assert!(!from_v1(&shown), "a negative age cannot be true");

    let (_, reply) = send("v1", Some(V1_TOKEN), 700).await;
    assert!(reply["refused"]["shop/none"].is_string());
    assert!(reply["activeRegions"].as_object().is_some_and(|all| all.contains_key("shop/checkout")));
    let shown = server.until("/v1/policies/shop/checkout", "v1's result is shown", from_v1).await;
    let failing = shown["failing"].as_array().unwrap();
    let age = failing.iter().find(|f| f["vantage"] == "v1").and_then(|f| f["age"].as_u64()).unwrap();
    assert!(age >= 700, "{age}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vantage_probes_without_the_controllers_secrets_and_reports() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    in_force(&server).await;
    let elsewhere = Place::new();
    std::fs::remove_dir_all(elsewhere.path("secrets/pg")).unwrap();
    std::fs::remove_dir_all(elsewhere.path("secrets/dns")).unwrap();
    elsewhere.write("checkout.yaml", POLICY);
    let settings = crate::vantage::Settings {
        name: "v1".to_owned(),
        policies: elsewhere.path("policies"),
        secrets: Some(elsewhere.path("secrets")),
        controller: vec![format!("http://{}", server.local.listen)],
        log: LogArgs::default(),
    };
    let vantage = AbortOnDropHandle::new(tokio::spawn(crate::vantage::run(settings, None)));
    let reports =
        |a: &Value| a["failing"].as_array().is_some_and(|all| all.iter().any(|f| f["vantage"] == "v1"));
    server.until("/v1/policies/shop/checkout", "the vantage's results arrive", reports).await;
    assert!(!vantage.is_finished());
    server.end().await;
}
