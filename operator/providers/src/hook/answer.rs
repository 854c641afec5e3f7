//! What a `status` verb says: one line of JSON, read strictly. Anything else is "could not look", never "off".

use muster_core::facts::{FenceFacts, PowerState};
use serde::Deserialize;

/// Longer ids are not instances.
const MAX_ID: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FenceAnswer {
    id: String,
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    On,
    Off,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepAnswer {
    done: bool,
}

/// `{"id":"i-0abc","state":"on"}` or `"off"`.
pub(super) fn read_fence_answer(text: &str) -> Result<FenceFacts, String> {
    let FenceAnswer { id, state } = read_line(text, r#"{"id":"...","state":"on"|"off"}"#)?;
    if id.is_empty() || id.len() > MAX_ID || id.chars().any(char::is_control) {
        return Err(format!(
            "the status' id is empty, longer than {MAX_ID} octets, or has control characters"
        ));
    }
    let state = match state {
        State::On => PowerState::On,
        State::Off => PowerState::Off,
    };
    Ok(FenceFacts::new(id, state))
}

/// `{"done":true}` or `false`.
pub(super) fn read_step_answer(text: &str) -> Result<bool, String> {
    read_line(text, r#"{"done":true|false}"#).map(|StepAnswer { done }| done)
}

fn read_line<'de, T: Deserialize<'de>>(text: &'de str, expected: &str) -> Result<T, String> {
    let line = text.trim();
    if line.is_empty() {
        return Err(format!("the status is empty; expected one line {expected}"));
    }
    if line.contains('\n') {
        return Err(format!("the status has more than one line; expected one line {expected}"));
    }
    serde_json::from_str(line).map_err(|e| format!("the status is not {expected}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_status_is_taken_as_it_is() {
        for (text, state) in [("on", PowerState::On), ("off", PowerState::Off)] {
            let line = format!("{{\"id\":\"i-1\",\"state\":\"{text}\"}}\n");
            assert_eq!(read_fence_answer(&line), Ok(FenceFacts::new("i-1", state)));
        }
    }

    #[test]
    fn what_is_not_exactly_a_status_is_not_read() {
        for garbage in [
            "",
            "off",
            "{}",
            r#"{"state":"off"}"#,
            r#"{"id":"","state":"off"}"#,
            r#"{"id":"i-1","state":"OFF"}"#,
            r#"{"id":"i-1","state":"off","extra":1}"#,
            r#"{"id":"i-1","state":"off"} {"id":"i-1","state":"on"}"#,
            "{\"id\":\"i-1\",\"state\":\"on\"}\n{\"id\":\"i-1\",\"state\":\"off\"}",
            r#"{"id":1,"state":"off"}"#,
            r#"{"id":"i-1","state":"off""#,
            r#"{"id":"i-1","id":"i-2","state":"off"}"#,
        ] {
            assert!(read_fence_answer(garbage).is_err(), "{garbage}");
        }
        for garbage in ["", "true", "{}", r#"{"done":"yes"}"#, r#"{"done":true,"done":false}"#] {
            assert!(read_step_answer(garbage).is_err(), "{garbage}");
        }
    }
}
