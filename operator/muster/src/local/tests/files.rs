use super::*;

const LIST: &str = "/v1/policies";

fn reasons(answer: &Value) -> Vec<(&str, &str)> {
    let problems = answer["fileProblems"].as_array().unwrap();
    problems.iter().filter_map(|p| Some((p["file"].as_str()?, p["reason"].as_str()?))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_comes_into_force_and_a_broken_one_leaves_the_last_good_in_force() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    let of = "/v1/policies/shop/checkout";
    in_force(&server).await;

    place.write("checkout.yaml", &POLICY.replace("mode: Observe", "mode: Approve"));
    server.until(of, "the edit is in force", |a| a["policy"]["mode"] == "Approve").await;

    for broken in [
        "spec: [",
        &POLICY.replace("mode: Observe", "mode: Sometimes"),
        &POLICY.replace("region: west, host", "region: north, host"),
    ] {
        place.write("checkout.yaml", broken);
        let list = server.until(LIST, "the problem is reported", |a| !reasons(a).is_empty()).await;
        assert_eq!(reasons(&list)[0], ("checkout.yaml", "Invalid"), "{list}");
        assert!(has_policy(&list, "shop/checkout"));
        let (_, status) = server.get(of).await;
        assert_eq!(status["policy"]["mode"], "Approve");
        place.write("checkout.yaml", &POLICY.replace("mode: Observe", "mode: Approve"));
        server.until(LIST, "the problem is gone", |a| reasons(a).is_empty()).await;
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_file_stops_no_other_and_a_name_taken_twice_is_reported() {
    let place = Place::new();
    place.write("a.yaml", POLICY);
    place.write("b.yaml", POLICY);
    place.write("c.yaml", "{");
    place.write("d.yaml", &POLICY.replace("name: checkout", "name: search"));
    place.write("notes.txt", "not a policy");
    let server = place.start("one").await;
    let both = |a: &Value| has_policy(a, "shop/checkout") && has_policy(a, "shop/search");
    let list = server.until(LIST, "the good ones are in force", both).await;
    let mut reasons = reasons(&list);
    reasons.sort_unstable();
    assert_eq!(reasons, [("b.yaml", "DuplicateName"), ("c.yaml", "Invalid")]);

    // The one in force stays in force when a file that sorts before it names it too.
    place.write("0.yaml", POLICY);
    let third = |a: &Value| a["fileProblems"].as_array().is_some_and(|all| all.len() == 3);
    let list = server.until(LIST, "the third file is reported", third).await;
    assert!(list["fileProblems"].to_string().contains("0.yaml"), "{list}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_file_takes_its_policy_out_of_force_and_brought_back_it_has_the_same_uid() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    let owner = in_force(&server).await["policy"]["owner"].clone();
    std::fs::remove_file(place.path("policies/checkout.yaml")).unwrap();
    server.until(LIST, "the policy is gone", |a| !has_policy(a, "shop/checkout")).await;
    place.write("checkout.yaml", POLICY);
    let back = in_force(&server).await;
    assert!(owner.is_string());
    assert_eq!(back["policy"]["owner"], owner);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_a_broken_file_leaves_the_last_good_version_in_force() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    let owner = in_force(&server).await["policy"]["owner"].clone();
    let kept = place.path("state/in-force/shop__checkout.yaml");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !kept.exists() {
        assert!(tokio::time::Instant::now() < deadline, "no copy was kept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.end().await;

    place.write("checkout.yaml", &POLICY.replace("mode: Observe", "mode: Sometimes"));
    let server = place.start("again").await;
    let list = server.until(LIST, "the kept version is in force", |a| has_policy(a, "shop/checkout")).await;
    assert_eq!(reasons(&list), [("checkout.yaml", "Invalid")]);
    assert_eq!(list["fileProblems"][0]["lastGoodInForce"], true);
    assert_eq!(in_force(&server).await["policy"]["owner"], owner);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_comes_later_is_taken_up() {
    let place = Place::new();
    std::fs::remove_file(place.path("secrets/pg/shop")).unwrap();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    let list = server.until(LIST, "the secret is missed", |a| !reasons(a).is_empty()).await;
    assert!(list["fileProblems"][0]["message"].as_str().is_some_and(|m| m.contains("MUSTER_SECRET_PG_SHOP")));
    std::fs::write(place.path("secrets/pg/shop"), "pw").unwrap();
    let in_force = |a: &Value| has_policy(a, "shop/checkout") && reasons(a).is_empty();
    server.until(LIST, "the policy is in force, and nothing is reported", in_force).await;
    server.end().await;
}
