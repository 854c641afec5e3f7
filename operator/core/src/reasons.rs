//! Every name that a person may meet as a blocker, a condition's reason or a warning. Each has a page in runbooks/.

/// All of them, sorted.
pub const ALL: &[&str] = &[
    "AbortTooLate",
    "Aborted",
    "Aborting",
    "Acknowledged",
    "ActiveRegionKnown",
    "ActiveRegionUnknown",
    "Approval",
    "AwaitingApproval",
    "CaughtUp",
    "ClaimHeld",
    "ClaimsHeld",
    "ComputeReady",
    "ComputeShort",
    "CooldownOver",
    "Detaching",
    "EngineFailover",
    "EstimatedLoss",
    "FenceWayFailed",
    "Fenced",
    "ForeignOwner",
    "GiveBackFailed",
    "JournalBehindTargets",
    "JournalWritable",
    "LossCounted",
    "MostAdvanced",
    "NeedsAck",
    "NoWriter",
    "NotFenced",
    "NotVerified",
    "ObserversSuffice",
    "OldDataNotKept",
    "OutcastWrites",
    "Overtaken",
    "PassFails",
    "Paused",
    "PeakUnknown",
    "PrimaryUnhealthy",
    "ProofLost",
    "PublicNameWorks",
    "RegionCastOut",
    "RejoinFailed",
    "RequestRefused",
    "Retargeted",
    "ScaleHindered",
    "SettleFailed",
    "SingleWriter",
    "SoleWriter",
    "SourceLost",
    "SourceWritable",
    "SplitBrain",
    "SplitBrainSuspected",
    "StandbyIdle",
    "StandsAlone",
    "StepFailed",
    "StepOverdue",
    "Superseded",
    "TargetCurrent",
    "TargetFit",
    "TargetLost",
    "TargetReplaced",
    "TargetSilent",
    "TargetStreams",
    "TargetWritable",
    "TrafficContested",
    "TrafficDrift",
    "VerdictKnown",
    "Withdrawn",
];

#[cfg(test)]
mod tests {
    use super::ALL;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Names in calls that make a blocker, a gate, a false condition or a warning.
    fn named_in(source: &str, found: &mut BTreeSet<String>) {
        let flat = source.replace('\n', " ");
        let calls = ["block(", "gate(", "event(true,", "condition("];
        for call in calls {
            for (at, _) in flat.match_indices(call) {
                let rest: String = flat[at + call.len()..].chars().take(120).collect();
                // 0: before the first quote, 1: the first text, 2: between, 3: the second text.
                let parts: Vec<&str> = rest.split('"').collect();
                let name = match (call, parts.get(2)) {
                    ("condition(", Some(between)) if between.contains("false") => parts.get(3),
                    ("condition(", _) => None,
                    _ => parts.get(1),
                };
                let is_name =
                    |n: &&&str| n.starts_with(char::is_uppercase) && n.chars().all(char::is_alphanumeric);
                found.extend(name.filter(is_name).map(ToString::to_string));
            }
        }
    }

    fn read_all(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read_all(&path, found);
            } else if path.file_name().is_some_and(|n| n != "reasons.rs") {
                named_in(&std::fs::read_to_string(&path).unwrap(), found);
            }
        }
    }

    #[test]
    fn every_name_in_the_code_is_listed_and_every_listed_name_is_in_the_code() {
        let mut found = BTreeSet::new();
        read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let listed: BTreeSet<String> = ALL.iter().map(ToString::to_string).collect();
        assert_eq!(found.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "not listed");
        assert!(ALL.is_sorted());
    }
}
