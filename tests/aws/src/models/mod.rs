//! What the published models of AWS' APIs say of a request that was carried out, and of its answer.
//!
//! ```text
//! request, answer ──► document ──► held against the shapes of the operation ──► breaches, each with its place
//!                                         ▲
//!                     models/*.json ◄── scripts/extract-api-models.py ◄── botocore
//! ```
//!
//! An SDK passes over an element that it does not know, and reads one that is missing as nothing: an adapter that is
//! tested against a misspelled answer would learn to live without the right one.
//!
//! Paths, namespaces, request headers and the documents of refusals are not held against anything.
//!
//! What this module must never do: change an answer; pass over an element, a parameter or a text that the model does not
//! have, but for what is listed here with its reason.

mod check;
mod document;
mod shape;

use crate::request::ApiRequest;
use crate::service::Reply;
use check::{Check, Spelling};
use document::Element;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::Value;
use shape::{Kind, Model, OperationModel, Protocol, Shape, Side};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use url::form_urlencoded;

const TEXTS: [(&str, &str); 6] = [
    ("ec2", include_str!("../../models/ec2.json")),
    ("rds", include_str!("../../models/rds.json")),
    ("route53", include_str!("../../models/route53.json")),
    ("route53-recovery-cluster", include_str!("../../models/route53-recovery-cluster.json")),
    ("s3", include_str!("../../models/s3.json")),
    ("sts", include_str!("../../models/sts.json")),
];

static MODELS: LazyLock<BTreeMap<&'static str, Model>> = LazyLock::new(|| {
    let read =
        |(service, text)| (service, serde_json::from_str(text).expect("a model is what the script writes"));
    TEXTS.into_iter().map(read).collect()
});

/// Codes that every service of the XML protocols may answer, in no operation's list, each with its status (the references,
/// "Common Error Types").
const COMMON: [(&str, u16); 11] = [
    ("AccessDenied", 403),
    ("InternalFailure", 500),
    ("InvalidAction", 400),
    ("InvalidClientTokenId", 403),
    ("InvalidParameterCombination", 400),
    ("InvalidParameterValue", 400),
    ("MissingParameter", 400),
    ("RequestExpired", 400),
    ("ServiceUnavailable", 503),
    ("Throttling", 400),
    ("ValidationError", 400),
];

/// The same of the JSON protocol. A token that is not known is worded by the service only after it was looked at here.
const COMMON_OF_JSON: [(&str, u16); 2] =
    [("InvalidClientTokenId", 403), ("UnrecognizedClientException", 403)];

/// What an answer of EC2 bears beside its operation's own: the request, and `true` where there is nothing to say.
const OF_EC2: [&str; 2] = ["requestId", "return"];

/// What is wrong with a body. An error: it is none that could be looked into, for this.
type Judged = Result<Vec<String>, String>;

/// An operation as the model has it.
#[derive(Clone, Copy)]
pub(crate) struct Modelled<'a> {
    model: &'static Model,
    service: &'static str,
    name: &'static str,
    operation: &'static OperationModel,
    /// Values that are right although no model has them.
    unheard_of: &'a BTreeSet<String>,
}

impl<'a> Modelled<'a> {
    /// An operation that the fake carries out. `None`: it is in no model.
    pub(crate) fn find(service: &str, name: &str, unheard_of: &'a BTreeSet<String>) -> Option<Self> {
        let (service, model) = MODELS.get_key_value(service)?;
        let (name, operation) = model.operations.get_key_value(name)?;
        Some(Self { model, service, name, operation, unheard_of })
    }

    /// What is wrong with a request that was carried out, and with its answer.
    pub(crate) fn judge(self, request: &ApiRequest, reply: &Reply) -> Vec<String> {
        let mut breaches = self.judge_request(request);
        breaches.extend(self.judge_reply(reply, request.method == Method::HEAD));
        breaches
    }

    /// What is wrong with a refusal by the service itself.
    pub(crate) fn judge_refusal(self, status: u16, code: &str) -> Vec<String> {
        let is_json = matches!(self.model.protocol, Protocol::Json);
        let common: &[(&str, u16)] = if is_json { &COMMON_OF_JSON } else { &COMMON };
        let common = common.iter().find(|(common, _)| *common == code).map(|(_, status)| *status);
        match self.operation.errors.get(code).copied().or(common.map(Some)) {
            Some(Some(right)) if right != status => {
                vec![format!("{code} is answered with {status}, not {right}")]
            }
            Some(_) => Vec::new(),
            // Their models list few of their codes, or none: the references have them.
            None if matches!(self.service, "ec2" | "s3") => Vec::new(),
            None => vec![format!("the operation has no error {code}")],
        }
    }

    fn shape(self, side: Option<&'static Side>) -> Option<&'static Shape> {
        self.model.shapes.get(&side?.shape)
    }

    fn judge_request(self, request: &ApiRequest) -> Vec<String> {
        let mut breaches = Vec::new();
        if request.method.as_str() != self.operation.method {
            breaches.push(format!("it is a {}, not a {}", request.method, self.operation.method));
        }
        let side = self.operation.input.as_ref();
        let shape = self.shape(side);
        breaches.extend(self.judge_query(request, shape));
        let (Some(side), Some(shape)) = (side, shape) else { return breaches };
        let of_body = match self.model.protocol {
            Protocol::Query => Ok(self.check(Spelling::Wire, &form_of(request), shape)),
            Protocol::Ec2 => Ok(self.check(Spelling::Ec2Request, &form_of(request), shape)),
            Protocol::Json => self.judge_json(&request.body, shape),
            Protocol::RestXml => self.judge_document(&request.body, side, shape),
        };
        breaches.extend(of_body.unwrap_or_else(|unreadable| vec![unreadable]));
        breaches
    }

    /// The parameters in the address: the operation's own, and those that name it.
    fn judge_query(self, request: &ApiRequest, shape: Option<&Shape>) -> Vec<String> {
        let mut check = self.checker(Spelling::Wire);
        for name in request.parameter_names() {
            let member = shape
                .and_then(|shape| shape.members_in("querystring").find(|(spelled, _, _)| *spelled == name));
            // `x-id` names the operation to who reads a log; the service passes over it.
            let is_known = name == "x-id" || self.operation.query.contains(&name);
            match (member, request.parameter(&name)) {
                (Some((_, _, member)), Some(value)) => check.scalar(&name, &value, member),
                _ if is_known => {}
                _ => check.say(&format!("?{name}"), "no such parameter"),
            }
        }
        check.breaches
    }

    fn judge_reply(self, reply: &Reply, is_head: bool) -> Vec<String> {
        let mut breaches = Vec::new();
        let status = reply.status;
        if self.operation.status.map_or(!(200..300).contains(&status), |right| right != status) {
            breaches.push(format!("it is answered with {status}"));
        }
        let side = self.operation.output.as_ref();
        let shape = self.shape(side);
        if let Some(shape) = shape {
            breaches.extend(self.judge_headers(&reply.headers, shape));
        }
        // What a HEAD would have been answered with is not sent.
        if is_head {
            return breaches;
        }
        let of_body = match (self.model.protocol, side, shape) {
            (Protocol::Query, side, shape) => self.judge_wrapped(&reply.body, side, shape),
            (Protocol::Ec2, _, shape) => self.judge_ec2(&reply.body, shape),
            (Protocol::Json, _, Some(shape)) => self.judge_json(&reply.body, shape),
            (Protocol::RestXml, Some(side), Some(shape)) => self.judge_document(&reply.body, side, shape),
            _ => Ok(Vec::new()),
        };
        breaches.extend(of_body.unwrap_or_else(|unreadable| vec![unreadable]));
        breaches
    }

    fn judge_headers(self, headers: &[(&'static str, String)], shape: &Shape) -> Vec<String> {
        let mut check = self.checker(Spelling::Wire);
        for (spelled, name, member) in shape.members_in("header") {
            match headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(spelled)) {
                Some((_, value)) => check.scalar(spelled, value, member),
                None if shape.required.iter().any(|required| required == name) => {
                    check.say(spelled, "the header is missing");
                }
                None => {}
            }
        }
        check.breaches
    }

    /// `<ActionResponse>`, with `<ActionResult>` in it if there is anything to say.
    fn judge_wrapped(self, body: &Bytes, side: Option<&Side>, shape: Option<&Shape>) -> Judged {
        let mut root = Element::read_xml(body)?;
        let mut breaches = judge_root(&root, &format!("{}Response", self.name));
        root.children.retain(|child| child.name != "ResponseMetadata");
        let wrapper = side.and_then(|side| side.result_wrapper.as_deref());
        match (&root.children[..], wrapper, shape) {
            ([], None, _) => {}
            ([result], Some(wrapper), Some(shape)) if result.name == wrapper => {
                breaches.extend(self.check(Spelling::Wire, result, shape));
            }
            (_, wrapper, _) => {
                let found: Vec<&str> = root.children.iter().map(|child| child.name.as_str()).collect();
                breaches.push(format!("it has {found:?}, not {:?}", wrapper.as_slice()));
            }
        }
        Ok(breaches)
    }

    fn judge_ec2(self, body: &Bytes, shape: Option<&Shape>) -> Judged {
        let mut root = Element::read_xml(body)?;
        let mut breaches = judge_root(&root, &format!("{}Response", self.name));
        root.children.retain(|child| !OF_EC2.contains(&child.name.as_str()));
        breaches.extend(match shape {
            Some(shape) => self.check(Spelling::Wire, &root, shape),
            None => root.children.iter().map(|child| format!("{}: no such element", child.name)).collect(),
        });
        Ok(breaches)
    }

    fn judge_json(self, body: &Bytes, shape: &Shape) -> Judged {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| format!("its body is no JSON: {error}"))?;
        Ok(self.check(Spelling::Json, &Element::of_json("", &value), shape))
    }

    /// A body that is a document, or a member alone, or none.
    fn judge_document(self, body: &Bytes, side: &Side, shape: &Shape) -> Judged {
        let payload = shape.payload.as_ref().and_then(|name| Some((name, shape.members.get(name)?)));
        let (root_name, needs_body, shape) = match payload {
            None => {
                let has_members = shape.members.values().any(|member| member.location.is_none());
                (side.location_name.as_deref(), has_members, shape)
            }
            Some((name, member)) => match self.model.shapes.get(&member.shape) {
                Some(of) if of.kind == Kind::Structure => {
                    (member.location_name.as_deref(), shape.required.contains(name), of)
                }
                // An object's content, or a text.
                _ => return Ok(Vec::new()),
            },
        };
        if body.is_empty() {
            return if needs_body { Err("it has no body".to_owned()) } else { Ok(Vec::new()) };
        }
        let root = Element::read_xml(body)?;
        let mut breaches = root_name.map(|right| judge_root(&root, right)).unwrap_or_default();
        // The one answer of S3 whose only member is the document itself; empty, it means us-east-1.
        match shape.members.iter().next() {
            Some((name, member)) if shape.members.len() == 1 && *name == root.name => {
                let mut check = self.checker(Spelling::Wire);
                if !root.text.is_empty() {
                    check.scalar(name, &root.text, member);
                }
                breaches.extend(check.breaches);
            }
            _ => breaches.extend(self.check(Spelling::Wire, &root, shape)),
        }
        Ok(breaches)
    }

    fn checker(self, spelling: Spelling) -> Check<'a> {
        Check::new(&self.model.shapes, spelling, self.unheard_of)
    }

    fn check(self, spelling: Spelling, element: &Element, shape: &Shape) -> Vec<String> {
        let mut check = self.checker(spelling);
        check.structure("", element, shape);
        check.breaches
    }
}

fn judge_root(root: &Element, right: &str) -> Vec<String> {
    if root.name == right {
        return Vec::new();
    }
    vec![format!("its document is <{}>, not <{right}>", root.name)]
}

/// The parameters of the Query protocol, without what names the operation.
fn form_of(request: &ApiRequest) -> Element {
    let fields =
        form_urlencoded::parse(&request.body).filter(|(name, _)| !matches!(&**name, "Action" | "Version"));
    Element::of_form(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn post(service: &str, body: &str) -> ApiRequest {
        let request = Request::builder()
            .method("POST")
            .uri("/")
            .header("authorization", format!("X Credential=K/20260101/us-east-1/{service}/aws4_request"))
            .body(())
            .expect("a request");
        ApiRequest::new(&request.into_parts().0, Bytes::from(body.to_owned()))
    }

    fn of_rds(operation: &str, body: &str, answer: &str) -> Vec<String> {
        let none = BTreeSet::new();
        let found = Modelled::find("rds", operation, &none).expect("it is in the model");
        found.judge(&post("rds", body), &Reply::ok(answer.to_owned()))
    }

    #[test]
    fn the_models_are_of_the_library_that_the_emulators_have() {
        let pinned = include_str!("../../../opinions/emulators/moto.txt");
        for (service, model) in MODELS.iter() {
            let from = &model.from;
            assert!(pinned.lines().any(|line| line == from), "{service} is from {from}: extract it again");
        }
    }

    fn globals(members: &str) -> String {
        format!(
            "<DescribeGlobalClustersResponse><DescribeGlobalClustersResult><GlobalClusters>{members}\
             </GlobalClusters></DescribeGlobalClustersResult><ResponseMetadata/></DescribeGlobalClustersResponse>"
        )
    }

    fn of_globals(members: &str) -> Vec<String> {
        let asked = "Action=DescribeGlobalClusters&Version=2014-10-31";
        of_rds("DescribeGlobalClusters", asked, &globals(members))
    }

    #[test]
    fn an_answer_as_the_model_has_it_is_right() {
        let right = "<GlobalClusterMember><GlobalClusterIdentifier>shop</GlobalClusterIdentifier>\
                     <DeletionProtection>false</DeletionProtection><GlobalClusterMembers><GlobalClusterMember>\
                     <IsWriter>true</IsWriter><Readers><member>arn</member></Readers></GlobalClusterMember>\
                     </GlobalClusterMembers></GlobalClusterMember>";
        assert_eq!(of_globals(right), [""; 0]);
    }

    #[test]
    fn what_the_model_does_not_have_is_named_with_its_place() {
        let misspelled = "<GlobalClusterMember><GlobalClusterId>shop</GlobalClusterId></GlobalClusterMember>";
        assert_eq!(
            of_globals(misspelled),
            ["GlobalClusters.GlobalClusterMember.GlobalClusterId: no such element"]
        );
        let listed = "<GlobalCluster/>";
        assert_eq!(
            of_globals(listed),
            ["GlobalClusters: <GlobalCluster> in a list of <GlobalClusterMember>"]
        );
        let worded =
            "<GlobalClusterMember><DeletionProtection>True</DeletionProtection></GlobalClusterMember>";
        let found =
            ["GlobalClusters.GlobalClusterMember.DeletionProtection: `True` is no BooleanOptional (Boolean)"];
        assert_eq!(of_globals(worded), found);
        let twice = "<GlobalClusterMember><Status>a</Status><Status>b</Status></GlobalClusterMember>";
        assert_eq!(of_globals(twice), ["GlobalClusters.GlobalClusterMember.Status: it is there 2 times"]);
    }

    #[test]
    fn a_request_has_what_it_must_and_nothing_else() {
        let answer = "<PromoteReadReplicaResponse><PromoteReadReplicaResult/></PromoteReadReplicaResponse>";
        let ask = |body: &str| of_rds("PromoteReadReplica", body, answer);
        assert_eq!(ask("Action=PromoteReadReplica&DBInstanceIdentifier=a&BackupRetentionPeriod=3"), [""; 0]);
        assert_eq!(
            ask("DBInstance=a"),
            ["DBInstance: no such element", "DBInstanceIdentifier: it is missing"]
        );
        let found = ask("DBInstanceIdentifier=a&BackupRetentionPeriod=soon");
        assert_eq!(found, ["BackupRetentionPeriod: `soon` is no IntegerOptional (Integer)"]);
    }

    #[test]
    fn lists_of_a_form_are_read_by_the_names_of_their_members() {
        let answer = "<DescribeEventsResponse><DescribeEventsResult/></DescribeEventsResponse>";
        let ask = |body: &str| of_rds("DescribeEvents", body, answer);
        assert_eq!(ask("EventCategories.EventCategory.1=a&EventCategories.EventCategory.2=b"), [""; 0]);
        let found = ask("EventCategories.member.1=a");
        assert_eq!(found, ["EventCategories: <member> in a list of <EventCategory>"]);
        let found = ask("EventCategories.EventCategory.2=b");
        assert_eq!(found, ["EventCategories.EventCategory: it is a text"]);
        assert_eq!(ask("SourceIdentifier=a&SourceIdentifier=b"), ["SourceIdentifier: it is there 2 times"]);
    }

    #[test]
    fn an_answer_has_its_wrapper_and_no_text_beside_its_members() {
        let ask = |answer: &str| of_rds("DescribeEvents", "", answer);
        assert_eq!(ask("<DescribeEventsResponse/>"), [r#"it has [], not ["DescribeEventsResult"]"#]);
        assert_eq!(
            ask("<Events/>"),
            [
                "its document is <Events>, not <DescribeEventsResponse>",
                r#"it has [], not ["DescribeEventsResult"]"#
            ]
        );
        let stray = "<DescribeEventsResponse><DescribeEventsResult><Events>x</Events></DescribeEventsResult></DescribeEventsResponse>";
        assert_eq!(ask(stray), ["Events: `x` stands beside its members"]);
        assert_eq!(ask("<DescribeEventsResponse>"), ["its body is no XML: an element is not closed"]);
    }

    #[test]
    fn a_value_that_nobody_has_heard_of_is_right_only_if_it_was_meant() {
        let played = "<GlobalClusterMember><FailoverState><Status>pondering</Status></FailoverState></GlobalClusterMember>";
        let place = "GlobalClusters.GlobalClusterMember.FailoverState.Status";
        assert_eq!(of_globals(played), [format!("{place}: `pondering` is no FailoverStatus (String)")]);
        let meant = BTreeSet::from(["pondering".to_owned()]);
        let found = Modelled::find("rds", "DescribeGlobalClusters", &meant).expect("it is in the model");
        let answer = Reply::ok(globals(played));
        assert_eq!(found.judge(&post("rds", ""), &answer), [""; 0]);
    }

    #[test]
    fn a_refusal_has_a_code_of_its_operation() {
        let none = BTreeSet::new();
        let promote = Modelled::find("rds", "PromoteReadReplica", &none).expect("it is in the model");
        assert_eq!(promote.judge_refusal(404, "DBInstanceNotFound"), [""; 0]);
        assert_eq!(promote.judge_refusal(400, "Throttling"), [""; 0]);
        assert_eq!(
            promote.judge_refusal(400, "DBInstanceNotFound"),
            ["DBInstanceNotFound is answered with 400, not 404"]
        );
        let found = promote.judge_refusal(404, "DBClusterNotFoundFault");
        assert_eq!(found, ["the operation has no error DBClusterNotFoundFault"]);
        assert_eq!(promote.judge_refusal(403, "Throttling"), ["Throttling is answered with 403, not 400"]);
        assert!(Modelled::find("rds", "PromoteEverything", &none).is_none());
    }
}
