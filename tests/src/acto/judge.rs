//! What must hold of a policy's state, whatever came before.

use super::eyes::{Seen, condition};
use super::sane::PLACE;
use super::spec::Law;
use muster_crds::{RegionFailoverPolicy, load_policy_file};
use serde_json::Value;

/// Said of a bad spec while an older one acts.
const STAYS: &str = "; the last good version stays in force";

/// Whether `Accepted` says of a generation what the law does, now; `Err`: why not (yet).
pub(super) fn accepted(seen: &Seen, generation: i64, law: &Law) -> Result<(), String> {
    let accepted = condition(&seen.object, "Accepted");
    if accepted["observedGeneration"] != generation {
        return Err(format!(
            "Accepted speaks of generation {}, not of {generation}",
            accepted["observedGeneration"]
        ));
    }
    let (status, message) = (&accepted["status"], accepted["message"].as_str().unwrap_or_default());
    match law {
        Law::Good(_) if status == "True" => Ok(()),
        Law::Good(_) => Err(format!("good, and Accepted is {status}: {message}")),
        Law::Bad { fields, .. } if status == "False" => {
            let missing: Vec<&String> =
                fields.iter().filter(|field| !message.contains(field.as_str())).collect();
            // Of many problems the first ones are told, and that there are more.
            let is_whole = !message.contains("more, see muster validate") || missing.len() == fields.len();
            match missing.first().filter(|_| is_whole) {
                None => Ok(()),
                Some(field) => Err(format!("Accepted does not name {field}: {message}")),
            }
        }
        Law::Bad { fields, .. } => Err(format!("bad ({}), and Accepted is {status}", fields.join(", "))),
    }
}

/// What was said of this generation before it was right, if anything was.
pub(super) fn said_wrongly(seen: &Seen, generation: i64, law: &Law) -> Option<String> {
    let right = if matches!(law, Law::Good(_)) { "True" } else { "False" };
    let wrong = seen.said.iter().find(|said| said.generation == generation && said.status != right)?;
    Some(format!("Accepted said {} of generation {generation} first: {}", wrong.status, wrong.message))
}

/// Whether the status speaks of this spec throughout.
pub(super) fn speaks_of(seen: &Seen, policy: &RegionFailoverPolicy, generation: i64) -> Result<(), String> {
    let status = &seen.object["status"];
    if status["observedGeneration"] != generation {
        return Err(format!(
            "status.observedGeneration is {}, not {generation}",
            status["observedGeneration"]
        ));
    }
    let named =
        status["regions"].as_array().into_iter().flatten().filter_map(|region| region["name"].as_str());
    let (named, wanted): (Vec<&str>, Vec<&str>) =
        (named.collect(), policy.spec.regions.iter().map(|region| region.name.as_str()).collect());
    if named != wanted {
        return Err(format!("status.regions are {named:?}, not {wanted:?}"));
    }
    Ok(())
}

/// Whether the journal keeps just this version as the one that acts; `None`: none.
pub(super) fn is_in_force(kept: Option<&str>, policy: Option<&RegionFailoverPolicy>) -> Result<(), String> {
    let (kept, policy) = match (kept, policy) {
        (None, None) => return Ok(()),
        (Some(kept), Some(policy)) => (kept, policy),
        (None, Some(_)) => return Err("nothing is in force".to_owned()),
        (Some(_), None) => return Err("something is in force".to_owned()),
    };
    let read = load_policy_file(kept)
        .map_err(|problems| format!("what is in force cannot be read: {problems:?}"))?;
    let same = read.first().is_some_and(|read| {
        read.spec == policy.spec
            && read.metadata.name == policy.metadata.name
            && read.metadata.namespace == policy.metadata.namespace
    });
    if same { Ok(()) } else { Err("another version is in force".to_owned()) }
}

/// A policy's status without what differs from policy to policy and from time to time.
pub(super) fn plain(object: &Value, name: &str, place: &str) -> Value {
    let mut status = object["status"].clone();
    drop_fields(&mut status, &["lastTransitionTime", "observedGeneration"]);
    let text = status.to_string();
    let text = text.replace(&format!("127.{place}."), &format!("127.{PLACE}."));
    // A message may show no more than a name's first label.
    let label = place.split('.').next().unwrap_or(place);
    let text = text
        .replace(&format!("n{place}."), &format!("n{PLACE}."))
        .replace(&format!("n{label}."), &format!("n{PLACE}."))
        .replace(&format!("shop/{name}"), "shop/NAME");
    serde_json::from_str(&text).unwrap_or_default()
}

/// As [`plain`], of a policy that was never good: nothing but `Accepted`, and that as if nothing had been before.
pub(super) fn plain_refusal(object: &Value, name: &str, place: &str) -> Value {
    let plain = plain(object, name, place);
    let mut accepted = condition(&serde_json::json!({"status": plain}), "Accepted").clone();
    let message = accepted["message"].as_str().unwrap_or_default().trim_end_matches(STAYS).to_owned();
    accepted["message"] = message.into();
    accepted
}

fn drop_fields(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !names.contains(&name.as_str()));
            fields.values_mut().for_each(|inner| drop_fields(inner, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| drop_fields(inner, names)),
        _ => {}
    }
}

/// Where two states differ, by field.
pub(super) fn difference(reached: &Value, scratch: &Value) -> String {
    let (Some(a), Some(b)) = (reached.as_object(), scratch.as_object()) else {
        return format!("{reached} and not {scratch}");
    };
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differs = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
    let told = differs.map(|name| {
        let of = |fields: &serde_json::Map<String, Value>| {
            fields.get(name).map_or("nothing".to_owned(), Value::to_string)
        };
        format!("{name}: {} and from scratch {}", of(a), of(b))
    });
    told.collect::<Vec<_>>().join("; ")
}
