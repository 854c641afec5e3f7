//! Looks at processes by their number.

use std::path::Path;
use std::time::{Duration, Instant};

/// Gone, and not a zombie of ours either.
pub(crate) fn is_gone(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(_) => true,
        // Once its parents are gone, it is init's to wait for.
        Ok(stat) => {
            let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
            let (state, parent) = (fields.next(), fields.next().and_then(|p| p.parse::<u32>().ok()));
            state == Some("Z") && parent != Some(std::process::id())
        }
    }
}

/// Waits until each is gone.
pub(crate) async fn wait_until_gone(pids: &[u32], within: Duration) {
    let deadline = Instant::now() + within;
    while let Some(left) = pids.iter().find(|pid| !is_gone(**pid)) {
        let stat = std::fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_default();
        assert!(Instant::now() < deadline, "still there: {stat}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads the numbers that a script has written, one file each, once all are there.
pub(crate) async fn read_pids<const N: usize>(folder: &Path, names: [&str; N]) -> [u32; N] {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let read = names.map(|name| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok());
        if read.iter().all(Option::is_some) {
            return read.map(|pid| pid.expect("all are there"));
        }
        assert!(Instant::now() < deadline, "not all have started: {read:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
