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
    let told = |a: &Value| a["fileProblems"].as_array().is_some_and(|all| all.len() == 2);
    let both = |a: &Value| has_policy(a, "shop/checkout") && has_policy(a, "shop/search");
    let list = server.until(LIST, "the good ones are in force", |a| both(a) && told(a)).await;
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

/// The claims, with the owner of each.
async fn claims(server: &Server) -> Vec<(String, String)> {
    let claims = server.local.shell.store.claims().await.unwrap();
    claims.iter().map(|(key, owner)| (key.to_string(), owner.to_string())).collect()
}

/// Polls until every claim is `owner`'s.
async fn held_by(server: &Server, owner: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let held = claims(server).await;
        if !held.is_empty() && held.iter().all(|(_, by)| by == owner) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{owner} does not hold all: {held:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn owner_of(server: &Server, policy: &str) -> String {
    let passes = |answer: &Value| answer["decision"]["rule"].is_string();
    let found = server.until(&format!("/v1/policies/{policy}"), "the policy has passes", passes).await;
    found["policy"]["owner"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_renamed_while_muster_was_down_gives_its_claims_to_its_successor() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    let old = owner_of(&server, "shop/checkout").await;
    held_by(&server, &old).await;
    server.end().await;

    place.write("checkout.yaml", &POLICY.replace("name: checkout", "name: basket"));
    let server = place.start("again").await;
    let new = owner_of(&server, "shop/basket").await;
    assert_ne!(old, new);
    held_by(&server, &new).await;
    let ready = |a: &Value| a["journal"]["state"]["conditions"]["Ready"]["reason"] != "ClaimHeld";
    server.until("/v1/policies/shop/basket", "its successor holds its claims", ready).await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_may_be_in_a_file_that_cannot_be_read_keeps_its_claims() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let server = place.start("one").await;
    let old = owner_of(&server, "shop/checkout").await;
    held_by(&server, &old).await;
    server.end().await;

    // Nobody can say what is in it.
    place.write("checkout.yaml", "spec: [");
    place.write("search.yaml", &POLICY.replace("name: checkout", "name: search"));
    let server = place.start("again").await;
    owner_of(&server, "shop/search").await;
    server.until("/v1/health", "it acts", |a| a["role"] == "Active").await;
    let looked = server.until(LIST, "the file is reported", |a| !reasons(a).is_empty()).await;
    assert!(looked["fileProblems"].to_string().contains("checkout.yaml"), "{looked}");
    assert!(claims(&server).await.iter().any(|(_, by)| *by == old));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_process_that_acts_gives_a_removed_policys_claims_up() {
    let place = Place::new();
    place.write("checkout.yaml", POLICY);
    let first = place.start("one").await;
    let owner = owner_of(&first, "shop/checkout").await;
    held_by(&first, &owner).await;
    // The one that looks on knows another folder, without the file.
    let elsewhere = Place::new();
    let mut settings = place.settings("two");
    settings.policies = elsewhere.path("policies");
    let stop = CancellationToken::new();
    let local = Local::start(&settings, &place.path("state"), stop.clone()).await.unwrap();
    let second = Server { local, stop, token: first.token.clone() };
    second.until("/v1/health", "it looks on", |a| a["leaseHolder"].is_string()).await;
    elsewhere.write("later.yaml", "{");
    second.until(LIST, "it has looked at its folder", |a| !reasons(a).is_empty()).await;
    std::fs::remove_file(elsewhere.path("policies/later.yaml")).unwrap();
    second.until(LIST, "and again", |a| reasons(a).is_empty()).await;
    held_by(&first, &owner).await;

    first.end().await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !claims(&second).await.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "nothing was given up after the take-over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    second.end().await;
}
