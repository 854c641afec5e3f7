//! What a request has to be allowed.
//!
//! What this module must never do: leave out a resource or a value that IAM would look at.

use super::batch::{Action, Change};
use super::messages;
use super::routes::{HealthRoute, Route, ZoneRoute};
use crate::request::ApiRequest;
use crate::rights::Need;

const NAMES: &str = "route53:ChangeResourceRecordSetsNormalizedRecordNames";
const TYPES: &str = "route53:ChangeResourceRecordSetsRecordTypes";
const ACTIONS: &str = "route53:ChangeResourceRecordSetsActions";

/// `None`: that is not known here.
pub(super) fn need_of(route: &Route, request: &ApiRequest) -> Option<Need> {
    let resource = match route {
        Route::Zones(ZoneRoute::GetChange(id)) => format!("change/{id}"),
        Route::Zones(
            ZoneRoute::GetHostedZone(id)
            | ZoneRoute::ListResourceRecordSets(id)
            | ZoneRoute::ChangeResourceRecordSets(id),
        ) => format!("hostedzone/{id}"),
        Route::Health(
            HealthRoute::Get(id)
            | HealthRoute::Status(id)
            | HealthRoute::Update(id)
            | HealthRoute::Delete(id),
        ) => format!("healthcheck/{id}"),
        Route::Health(HealthRoute::Create | HealthRoute::List) => return None,
    };
    let action = format!("route53:{}", route.operation().name);
    let mut need = Need::new(action, vec![format!("arn:aws:route53:::{resource}")]);
    if matches!(route, Route::Zones(ZoneRoute::ChangeResourceRecordSets(_))) {
        // A batch that cannot be read is refused for that.
        let changes = messages::read_batch(&request.body).map(|batch| batch.changes).unwrap_or_default();
        let of = |value: fn(&Change) -> String| changes.iter().map(value).collect::<Vec<_>>();
        need.values.insert(NAMES, of(normalized_name));
        need.values.insert(TYPES, of(|change| change.set.key.kind.clone()));
        need.values.insert(ACTIONS, of(action_word));
    }
    Some(need)
}

/// In lower case, without the last dot.
fn normalized_name(change: &Change) -> String {
    change.set.key.name.to_string().trim_end_matches('.').to_owned()
}

fn action_word(change: &Change) -> String {
    let word = match change.action {
        Action::Create => "CREATE",
        Action::Delete => "DELETE",
        Action::Upsert => "UPSERT",
    };
    word.to_owned()
}
