//! Out of file descriptors. In a process of its own: the limit is the whole process's.

use muster_core::health::{ProbeResult, Symptom};
use muster_core::time::Stamp;
use muster_probes::{Clock, Once, ProbeKind, ProbeSpec, RegionVars, TcpSpec, run_once};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Stamp {
        Stamp::default()
    }
}

#[tokio::test]
async fn a_lack_of_descriptors_is_our_own_trouble() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound").to_string();
    let spec = ProbeSpec {
        name: "p".into(),
        on: muster_core::policy::On::Both,
        every: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        kind: ProbeKind::Tcp(TcpSpec { address }),
    };
    let region = RegionVars { name: "east".into(), values: std::collections::BTreeMap::new() };
    let once = Once { vantage: "v1".into(), clock: Arc::new(Stopped), anchors: Vec::new(), active: None };
    let report = run_once(&spec, &region, &once).await.expect("compiles");
    assert_eq!(report.symptom, Symptom::None);

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).expect("lowers");
    let mut open = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        open.push(file);
    }
    let report = run_once(&spec, &region, &once).await.expect("compiles");
    assert_eq!(report.symptom, Symptom::OwnResources, "{report:?}");
    assert!(report.sample.detail.contains("too many open files here"), "{report:?}");
    assert_eq!(report.sample.result, ProbeResult::Error);

    drop(open);
    let report = run_once(&spec, &region, &once).await.expect("compiles");
    assert_eq!(report.symptom, Symptom::None);
}
