//! Programs: what they are told, how their end is read, and that nothing of them stays.

use crate::processes::{is_gone, read_pids, wait_until_gone};
use crate::*;
use muster_core::facts::{FenceFacts, PowerState, Seen};
use muster_providers::hook::{ExecConfig, HookConfigError};
use muster_providers::postgres::RejoinRunner;
use muster_providers::{FenceControl, HookControl};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

fn shell(script: &str) -> Call {
    Call::Exec(ExecConfig::new(["/bin/sh", "-c", script].map(str::to_owned).into()))
}

fn fence_by(script: &str) -> FenceHook {
    fence(shell(script), shell("exit 1"), None)
}

async fn run_fence(script: &str) -> Outcome {
    fence_by(script).fence(&east(), &fence_ctx(TIMEOUT)).await
}

async fn status_of(script: &str) -> Seen<FenceFacts> {
    fence(shell("exit 1"), shell(script), None).status(&east(), TIMEOUT).await
}

fn read_environment(file: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).expect("the environment was written");
    text.split('\0').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
}

/// Writes the environment as the kernel gave it to the program.
fn print_environment(file: &Path) -> ExecConfig {
    let to = format!("of={}", file.display());
    ExecConfig::new(["/bin/dd", "status=none", "if=/proc/self/environ", &to].map(str::to_owned).into())
}

fn take_time_left(environment: &mut BTreeMap<String, String>) -> u64 {
    environment.remove("MUSTER_NOT_AFTER_MS").expect("time left").parse().expect("a number")
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn the_environment_is_exactly_what_is_declared_and_inherits_nothing() {
    assert!(std::env::vars_os().count() > 3, "the test itself has an environment that could leak");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("environ");
    let declared =
        ExecConfig { env: pairs(&[("LANG", "C.UTF-8"), ("PATH", "/bin")]), ..print_environment(&file) };
    let by_fence = fence(Call::Exec(declared), Call::Exec(print_environment(&file)), None);

    assert_eq!(by_fence.fence(&east(), &fence_ctx(TIMEOUT)).await, ISSUED);
    let mut environment = read_environment(&file);
    let left = take_time_left(&mut environment);
    assert!((5_000..=10_000).contains(&left), "{left}");
    let expected = pairs(&[
        ("PATH", "/bin"),
        ("LANG", "C.UTF-8"),
        ("MUSTER_VERB", "fence"),
        ("MUSTER_OWNER", "uid-1"),
        ("MUSTER_POLICY", "shop/checkout"),
        ("MUSTER_RUN", "checkout-3"),
        ("MUSTER_REGION", "east"),
        ("MUSTER_EPOCH", "3"),
        ("MUSTER_TERM", "1"),
        ("MUSTER_SEQ", "7"),
        ("MUSTER_KEY", "uid-1-3-7"),
    ]);
    assert_eq!(environment, expected);

    let _ = by_fence.status(&east(), TIMEOUT).await;
    let mut environment = read_environment(&file);
    take_time_left(&mut environment);
    let path = environment.remove("PATH").expect("the usual path");
    assert!(path.contains("/usr/bin"), "{path}");
    let expected = pairs(&[
        ("MUSTER_VERB", "status"),
        ("MUSTER_OWNER", "uid-1"),
        ("MUSTER_POLICY", "shop/checkout"),
        ("MUSTER_REGION", "east"),
    ]);
    assert_eq!(environment, expected);
}

#[tokio::test]
async fn a_step_and_a_rejoin_are_told_their_regions() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("environ");
    let call = || Call::Exec(print_environment(&file));
    let told = |names: &[&str]| {
        let environment = read_environment(&file);
        names.iter().map(|name| environment.get(*name).cloned().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(step(call(), None).run(&east(), &west(), &hook_ctx(TIMEOUT)).await, ISSUED);
    assert_eq!(
        told(&["MUSTER_VERB", "MUSTER_FROM", "MUSTER_TO", "MUSTER_REGION"]),
        ["run", "east", "west", ""]
    );

    let run = rejoin(call()).run(&east(), &west(), "10.0.0.2:5432", &rejoin_ctx(TIMEOUT)).await;
    assert_eq!(run.outcome, ISSUED);
    let names = ["MUSTER_VERB", "MUSTER_REGION", "MUSTER_FOLLOW", "MUSTER_FOLLOW_ADDRESS"];
    assert_eq!(told(&names), ["rejoin", "east", "west", "10.0.0.2:5432"]);
}

#[tokio::test]
async fn a_rejoin_hands_back_what_it_printed() {
    let printing = rejoin(shell(r#"echo working; echo '{"lostCommits": 3}'"#));
    let run = printing.run(&east(), &west(), "10.0.0.2:5432", &rejoin_ctx(TIMEOUT)).await;
    assert_eq!((run.outcome, run.stdout.as_str()), (ISSUED, "working\n{\"lostCommits\": 3}\n"));
}

#[tokio::test]
async fn an_exit_code_tells_the_class_and_the_last_line_tells_why() {
    assert_eq!(run_fence("exit 0").await, ISSUED);
    for (code, class) in [
        (1, ErrorClass::Transient),
        (63, ErrorClass::Transient),
        (64, ErrorClass::Invalid),
        (78, ErrorClass::Invalid),
        (79, ErrorClass::Transient),
        (255, ErrorClass::Transient),
    ] {
        let outcome =
            run_fence(&format!("echo first >&2; printf '\\033[31mno such host\\n' >&2; exit {code}")).await;
        let expected = format!("/bin/sh ended with code {code}: [31mno such host");
        assert_eq!(failure(&outcome), (class, expected.as_str()));
    }
    let outcome = run_fence("kill -9 $$").await;
    assert_eq!(failure(&outcome), (ErrorClass::UnknownOutcome, "/bin/sh was killed by signal 9"));
}

#[tokio::test]
async fn a_program_that_cannot_start_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("not-executable");
    std::fs::write(&file, "#!/bin/sh\n").expect("written");
    for (program, class) in
        [("/no/such/program", ErrorClass::Invalid), (file.to_str().expect("text"), ErrorClass::Denied)]
    {
        let missing = Call::Exec(ExecConfig::new(vec![program.to_owned()]));
        let outcome = fence(missing, shell("exit 1"), None).fence(&east(), &fence_ctx(TIMEOUT)).await;
        let (found, why) = failure(&outcome);
        assert_eq!(found, class);
        assert!(why.starts_with(&format!("failed to start {program}: ")), "{why}");
    }
}

#[tokio::test]
async fn arguments_are_passed_as_they_are_without_a_shell() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a b; $(echo c) *");
    let touch = ["/usr/bin/touch", file.to_str().expect("text")].map(str::to_owned).into();
    let call = Call::Exec(ExecConfig::new(touch));
    assert_eq!(fence(call, shell("exit 1"), None).fence(&east(), &fence_ctx(TIMEOUT)).await, ISSUED);
    assert!(file.exists());
}

#[tokio::test]
async fn standard_input_is_empty() {
    assert_eq!(run_fence("read -r line; test -z \"$line\"").await, ISSUED);
}

/// Hangs with a child, a grandchild that left the group, and one that left the session; each leaves its number.
const HANGS: &str = r"
echo $$ > self
sleep 300 & echo $! > child
timeout 300 sh -c 'echo $$ > left-group; sleep 300' &
setsid sh -c 'echo $$ > left-session; exec sleep 300' &
sleep 300
";

fn hangs(folder: &Path) -> FenceHook {
    fence_by(&format!("cd '{}' && {HANGS}", folder.display()))
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_at_the_deadline_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let hanging = hangs(folder.path());
    let started = Instant::now();
    let outcome = hanging.fence(&east(), &fence_ctx(Duration::from_secs(1))).await;
    let took = started.elapsed();
    let (class, why) = failure(&outcome);
    assert_eq!(class, ErrorClass::UnknownOutcome);
    assert!(why.contains("was killed at its deadline"), "{why}");
    assert!((1000..4000).contains(&took.as_millis()), "{took:?}");
    let pids = read_pids(folder.path(), ["self", "child", "left-group", "left-session"]).await;
    assert!(is_gone(pids[0]), "the program itself was waited for");
    wait_until_gone(&pids, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_the_program_along() {
    let folder = tempfile::tempdir().expect("a folder");
    let hanging = hangs(folder.path());
    let task = tokio::spawn(async move { hanging.fence(&east(), &fence_ctx(TIMEOUT)).await });
    let pids = read_pids(folder.path(), ["self", "child", "left-group", "left-session"]).await;
    task.abort();
    assert!(task.await.is_err_and(|e| e.is_cancelled()));
    wait_until_gone(&pids, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_program_that_ends_leaves_nothing_in_its_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!("cd '{}'; sleep 300 & echo $! > child", folder.path().display());
    let started = Instant::now();
    assert_eq!(run_fence(&script).await, ISSUED);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "a background child that holds the pipe delays nothing"
    );
    let pids = read_pids(folder.path(), ["child"]).await;
    wait_until_gone(&pids, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_program_that_ignores_signals_is_killed_all_the_same() {
    let outcome = fence_by("trap '' TERM INT HUP; while :; do sleep 1; done")
        .fence(&east(), &fence_ctx(Duration::from_millis(500)))
        .await;
    assert_eq!(failure(&outcome).0, ErrorClass::UnknownOutcome);
}

#[tokio::test]
async fn output_without_end_neither_blocks_nor_fills_memory() {
    let outcome =
        run_fence("head -c 50000000 /dev/zero; head -c 50000000 /dev/zero >&2; echo end >&2; exit 3").await;
    assert_eq!(failure(&outcome), (ErrorClass::Transient, "/bin/sh ended with code 3: end"));
    let long =
        rejoin(shell("yes | head -c 1000000")).run(&east(), &west(), "h:1", &rejoin_ctx(TIMEOUT)).await;
    assert_eq!(long.stdout.len(), 64 * 1024);
}

#[tokio::test]
async fn a_status_is_passed_on_as_it_is_even_if_it_lies() {
    let off = FenceFacts::new("i-1", PowerState::Off);
    assert_eq!(status_of(r#"echo '{"id":"i-1","state":"off"}'"#).await, Seen::Known(off));
    let on = FenceFacts::new("i-1", PowerState::On);
    assert_eq!(status_of(r#"echo '{"id":"i-1","state":"on"}'"#).await, Seen::Known(on));
}

#[tokio::test]
async fn a_doubtful_status_is_unknown_never_off() {
    for (script, reason) in [
        ("echo off", "not {"),
        ("true", "empty"),
        (r#"echo '{"id":"i-1","state":"off"}'; exit 1"#, "ended with code 1"),
        (r#"echo '{"id":"i-1","state":"off"}'; echo '{"id":"i-1","state":"on"}'"#, "more than one line"),
        (r#"yes | head -c 100000; echo '{"id":"i-1","state":"off"}'"#, "longer than 64 KiB"),
        ("kill -9 $$", "killed by signal 9"),
    ] {
        let seen = status_of(script).await;
        assert!(matches!(&seen, Seen::Unknown(why) if why.contains(reason)), "{script}: {seen:?}");
    }
    let started = Instant::now();
    let slow = fence(shell("exit 1"), shell("sleep 300"), None);
    let seen = slow.status(&east(), Duration::from_millis(300)).await;
    assert!(matches!(&seen, Seen::Unknown(why) if why.contains("deadline")), "{seen:?}");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_step_says_by_its_status_whether_it_is_done() {
    let asked = |script: &str| step(shell("true"), Some(shell(script)));
    let ctx = hook_ctx(TIMEOUT);
    assert_eq!(asked(r#"echo '{"done":true}'"#).status(&ctx, TIMEOUT).await, Seen::Known(true));
    assert_eq!(
        asked(r#"test "$MUSTER_KEY" = uid-1-3-7 && echo '{"done":false}'"#).status(&ctx, TIMEOUT).await,
        Seen::Known(false)
    );
    assert!(matches!(asked("echo done").status(&ctx, TIMEOUT).await, Seen::Unknown(_)));
    let without = step(shell("true"), None);
    assert!(!without.has_status() && asked("true").has_status());
    assert!(matches!(without.status(&ctx, TIMEOUT).await, Seen::Unknown(_)));
}

#[tokio::test]
async fn a_fence_without_unfence_cannot_be_undone() {
    let one_way = fence_by("true").unfence(&east(), &fence_ctx(TIMEOUT)).await;
    assert_eq!(failure(&one_way), (ErrorClass::Invalid, "fence power declares no unfence"));
    let both = fence(shell("exit 1"), shell("exit 1"), Some(shell("test $MUSTER_VERB = unfence")));
    assert_eq!(both.unfence(&east(), &fence_ctx(TIMEOUT)).await, ISSUED);
}

#[tokio::test]
async fn a_lost_lease_starts_nothing_and_a_held_one_is_told_of_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ran");
    let runs = fence_by(&format!("touch '{}'; sleep 0.2", file.display()));
    let action = || Action::Fence { way: "power".into(), region: east() };
    let (lost, held) = (Lease::new(false), Lease::new(true));
    let outcome = runs.fence(&east(), &ctx_under(&lost, action(), TIMEOUT)).await;
    assert_eq!(failure(&outcome).0, ErrorClass::Transient);
    assert!(!file.exists() && lost.sent() == 0);
    assert_eq!(runs.fence(&east(), &ctx_under(&held, action(), TIMEOUT)).await, ISSUED);
    assert!(file.exists() && held.sent() == 1);
}

#[test]
fn a_broken_configuration_names_the_field() {
    let config = |run: Call| HookConfig {
        name: "warm".into(),
        owner: "uid-1".into(),
        policy: "shop/checkout".into(),
        run,
        status: None,
        repeat_safe: true,
    };
    let exec =
        |command: &[&str]| Call::Exec(ExecConfig::new(command.iter().map(ToString::to_string).collect()));
    for broken in [exec(&[]), exec(&[""]), exec(&["a", "b\0c"])] {
        let error = Hook::new(&config(broken)).expect_err("refused").to_string();
        assert!(error.starts_with("run: "), "{error}");
    }
    let named = Call::Exec(ExecConfig { env: pairs(&[("A=B", "c")]), ..ExecConfig::new(vec!["x".into()]) });
    assert!(matches!(Hook::new(&config(named)), Err(HookConfigError::BadVariable { .. })));
    let once = HookConfig { repeat_safe: false, ..config(exec(&["/bin/true"])) };
    let error = Hook::new(&once).expect_err("refused").to_string();
    assert!(error.contains("repeatSafe: true"), "{error}");
}
