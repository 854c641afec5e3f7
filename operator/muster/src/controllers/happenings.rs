//! Events of the policies as Kubernetes Events: a reason of its own for each step.

use super::view::View;
use crate::api::EventRecord;
use crate::execute::Shell;
use crate::store::kubernetes::story::cut;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a new event.
const WAIT: Duration = Duration::from_mins(1);
/// Of one call; an event that cannot be written in time is lost, the journal has it all the same.
const DEADLINE: Duration = Duration::from_secs(3);
/// The API server refuses longer notes.
const LONGEST_NOTE: usize = 1_000;

/// Publishes until dropped.
pub(super) async fn publish(client: Client, shell: Arc<Shell>, view: View) {
    let reporter = Reporter { controller: "muster".to_owned(), instance: Some(shell.holder.to_string()) };
    let recorder = Recorder::new(client, reporter);
    let mut since = 0;
    loop {
        let page = shell.events.wait(since, None, WAIT).await;
        for event in &page.events {
            let Some(about) = view.reference(&event.policy) else { continue };
            let event_told = told(event);
            match tokio::time::timeout(DEADLINE, recorder.publish(&event_told, &about)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(policy = %event.policy, %error, "failed to publish an event");
                }
                Err(_) => tracing::warn!(policy = %event.policy, "failed to publish an event in time"),
            }
        }
        since = page.next;
    }
}

fn told(event: &EventRecord) -> Event {
    let note = match &event.run {
        Some(run) => format!("{run}: {}", event.message),
        None => event.message.clone(),
    };
    Event {
        type_: if event.warning { EventType::Warning } else { EventType::Normal },
        reason: event.reason.clone(),
        note: Some(cut(&note, LONGEST_NOTE).to_owned()),
        action: event.reason.clone(),
        secondary: None,
    }
}
