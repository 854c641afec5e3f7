//! What stands in the rights for what is only made: policies have no more than a text for it until then.

use super::iam::Document;
use std::collections::BTreeMap;

/// Before the id of a health check, in its ARN.
const HEALTH_CHECK: &str = ":route53:::healthcheck/";

/// The ARNs of what is made, as whoever makes it refers to them, by what policies call it: the id of a health check, the ARN of
/// anything else. Several where policies gave one text to different things.
#[derive(Debug, Default)]
pub(super) struct References(BTreeMap<String, Vec<String>>);

impl References {
    /// `reference` must hold nothing that JSON escapes.
    pub(super) fn add(&mut self, named: &str, reference: String) {
        let known = self.0.entry(named.to_owned()).or_default();
        if !known.contains(&reference) {
            known.push(reference);
        }
    }

    /// The document with these ARNs. `escape` keeps its reader from filling in anything else.
    pub(super) fn fill_in(&self, document: &Document, escape: impl Fn(&str) -> String) -> String {
        let json = escape(&document.with_resources(|arn| self.arns_of(arn)).to_json());
        let quoted = |text: &str| format!("\"{text}\"");
        self.0
            .values()
            .flatten()
            .fold(json, |json, reference| json.replace(&quoted(&escape(reference)), &quoted(reference)))
    }

    fn arns_of(&self, arn: &str) -> Vec<String> {
        let named = arn.split_once(HEALTH_CHECK).map_or(arn, |(_, id)| id);
        self.0.get(named).cloned().unwrap_or_else(|| vec![arn.to_owned()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::iam::Statement;
    use super::*;
    use muster_providers::aws::permissions::Action;

    #[test]
    fn only_what_is_made_is_referred_to_and_the_rest_stays_as_it_is() {
        let mut references = References::default();
        references.add("one", "${check_1}".to_owned());
        references.add("one", "${check_2}".to_owned());
        let resources = ["arn:aws:route53:::healthcheck/one", "arn:aws:s3:::bucket/${check_1}"];
        let resources = resources.map(str::to_owned).to_vec();
        let statement = Statement::allow("Some", &[Action::GetHealthCheck], resources);
        let filled = references.fill_in(&Document::of(vec![statement]), |text| text.replace('$', "\\$"));
        assert!(filled.contains("\"${check_1}\",\n        \"${check_2}\",\n"), "{filled}");
        assert!(filled.contains("\"arn:aws:s3:::bucket/\\${check_1}\""), "{filled}");
    }
}
