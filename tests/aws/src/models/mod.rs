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
//! What this module must never do: change an answer; pass over an element, a text or a code that the model does not
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
use std::collections::BTreeMap;
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

/// Codes that every service of these protocols may answer, in no operation's list (the API references, "Common Error
/// Types"; `AccessDenied` and `Throttling` are how the XML protocols spell them).
const COMMON: [&str; 14] = [
    "AccessDenied",
    "AccessDeniedException",
    "InternalFailure",
    "InvalidAction",
    "InvalidClientTokenId",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "MissingParameter",
    "RequestExpired",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "UnrecognizedClientException",
    "ValidationError",
];

/// What an answer of EC2 bears beside its operation's own: the request, and `true` where there is nothing to say.
const OF_EC2: [&str; 2] = ["requestId", "return"];

/// An operation as the model has it.
#[derive(Clone, Copy)]
pub(crate) struct Modelled {
    model: &'static Model,
    operation: &'static OperationModel,
    service: &'static str,
}

/// Finds an operation that the fake carried out. An error: it is in no model.
pub(crate) fn find(service: &str, operation: &str) -> Result<Modelled, String> {
    let unknown = || "no such operation in the model".to_owned();
    let (service, model) = MODELS.get_key_value(service).ok_or_else(unknown)?;
    let operation = model.operations.get(operation).ok_or_else(unknown)?;
    Ok(Modelled { model, operation, service })
}

impl Modelled {
    /// What is wrong with a request that was carried out, and with its answer.
    pub(crate) fn judge(self, request: &ApiRequest, reply: &Reply) -> Vec<String> {
        let mut breaches = self.judge_request(request);
        // What a HEAD would have been answered with is not sent.
        let body = if request.method == Method::HEAD { &Bytes::new() } else { &reply.body };
        breaches.extend(self.judge_reply(reply.status, body));
        breaches
    }

    /// What is wrong with a refusal by the service itself.
    pub(crate) fn judge_refusal(self, status: u16, code: &str) -> Vec<String> {
        match self.operation.errors.get(code) {
            Some(Some(right)) if *right != status => {
                vec![format!("{code} is answered with {status}, not {right}")]
            }
            Some(_) => Vec::new(),
            // Their models list few of their codes, or none: the references have them.
            None if matches!(self.service, "ec2" | "s3") => Vec::new(),
            None if COMMON.contains(&code) => Vec::new(),
            None => vec![format!("the operation has no error {code}")],
        }
    }

    fn judge_request(self, request: &ApiRequest) -> Vec<String> {
        let mut breaches = Vec::new();
        if request.method.as_str() != self.operation.method {
            breaches.push(format!("it is a {}, not a {}", self.operation.method, request.method));
        }
        let side = self.operation.input.as_ref();
        let shape = side.and_then(|side| self.model.shapes.get(&side.shape));
        breaches.extend(self.judge_query(request, shape));
        let (Some(side), Some(shape)) = (side, shape) else { return breaches };
        match self.model.protocol {
            Protocol::Query => breaches.extend(self.check(Spelling::Wire, "", &form_of(request), shape)),
            Protocol::Ec2 => breaches.extend(self.check(Spelling::Ec2Request, "", &form_of(request), shape)),
            Protocol::Json => breaches.extend(self.judge_json(&request.body, shape)),
            Protocol::RestXml => breaches.extend(self.judge_document(&request.body, side, shape)),
        }
        breaches
    }

    /// The parameters in the address: the operation's own, and those that name it.
    fn judge_query(self, request: &ApiRequest, shape: Option<&Shape>) -> Vec<String> {
        let is_known = |name: &str| {
            let of_members = shape.is_some_and(|shape| shape.is_in_query(name));
            // `x-id` names the operation to who reads a log; the service passes over it.
            name == "x-id" || of_members || self.operation.query.iter().any(|part| part == name)
        };
        let unknown = request.parameter_names().into_iter().filter(|name| !is_known(name));
        unknown.map(|name| format!("?{name}: no such parameter")).collect()
    }

    fn judge_reply(self, status: u16, body: &Bytes) -> Vec<String> {
        let mut breaches = Vec::new();
        let is_right = self.operation.status.map_or((200..300).contains(&status), |right| right == status);
        if !is_right {
            breaches.push(format!("it is answered with {status}"));
        }
        let side = self.operation.output.as_ref();
        match self.model.protocol {
            Protocol::Query => breaches.extend(self.judge_wrapped(body, side)),
            Protocol::Ec2 => breaches.extend(self.judge_ec2(body, side)),
            Protocol::Json => {
                let shape = side.and_then(|side| self.model.shapes.get(&side.shape));
                breaches.extend(shape.map(|shape| self.judge_json(body, shape)).unwrap_or_default());
            }
            Protocol::RestXml => {
                let shape = side.and_then(|side| Some((side, self.model.shapes.get(&side.shape)?)));
                let judged = shape.map(|(side, shape)| self.judge_document(body, side, shape));
                breaches.extend(judged.unwrap_or_default());
            }
        }
        breaches
    }

    /// `<ActionResponse>` with `<ActionResult>` in it, if there is anything to say.
    fn judge_wrapped(self, body: &Bytes, side: Option<&Side>) -> Vec<String> {
        let root = match Element::read_xml(body) {
            Ok(root) => root,
            Err(error) => return vec![error],
        };
        let mut breaches = Vec::new();
        for child in root.children.iter().filter(|child| child.name != "ResponseMetadata") {
            let shape = side.filter(|side| side.result_wrapper.as_deref() == Some(child.name.as_str()));
            match shape.and_then(|side| self.model.shapes.get(&side.shape)) {
                Some(shape) => breaches.extend(self.check(Spelling::Wire, "", child, shape)),
                None => breaches.push(format!("{}: no such element", child.name)),
            }
        }
        breaches
    }

    fn judge_ec2(self, body: &Bytes, side: Option<&Side>) -> Vec<String> {
        let mut root = match Element::read_xml(body) {
            Ok(root) => root,
            Err(error) => return vec![error],
        };
        root.children.retain(|child| !OF_EC2.contains(&child.name.as_str()));
        let shape = side.and_then(|side| self.model.shapes.get(&side.shape));
        match shape {
            Some(shape) => self.check(Spelling::Wire, "", &root, shape),
            None => root.children.iter().map(|child| format!("{}: no such element", child.name)).collect(),
        }
    }

    fn judge_json(self, body: &Bytes, shape: &Shape) -> Vec<String> {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => self.check(Spelling::Json, "", &Element::of_json("", &value), shape),
            Err(error) => vec![format!("its body is no JSON: {error}")],
        }
    }

    /// A body that is a document, or a member alone, or none.
    fn judge_document(self, body: &Bytes, side: &Side, shape: &Shape) -> Vec<String> {
        let payload = shape.payload.as_ref().and_then(|name| shape.members.get(name));
        let (root_name, shape) = match payload {
            None => (side.location_name.as_deref(), shape),
            Some(member) => match self.model.shapes.get(&member.shape) {
                Some(of) if of.kind == Kind::Structure => (member.location_name.as_deref(), of),
                // An object's content, or a text.
                _ => return Vec::new(),
            },
        };
        if body.is_empty() {
            let needs_body = shape.members.iter().any(|(name, member)| {
                member.location.is_none() && shape.required.contains(name) && payload.is_none()
            });
            return if needs_body { vec!["it has no body".to_owned()] } else { Vec::new() };
        }
        let root = match Element::read_xml(body) {
            Ok(root) => root,
            Err(error) => return vec![error],
        };
        if root.children.is_empty() && root.name == "LocationConstraint" {
            // The one answer of S3 whose only member is the document itself.
            return Vec::new();
        }
        let mut breaches = self.check(Spelling::Wire, "", &root, shape);
        if let Some(right) = root_name.filter(|right| *right != root.name) {
            breaches.push(format!("its document is <{}>, not <{right}>", root.name));
        }
        breaches
    }

    fn check(self, spelling: Spelling, at: &str, element: &Element, shape: &Shape) -> Vec<String> {
        let mut check = Check::new(&self.model.shapes, spelling);
        check.structure(at, element, shape);
        check.breaches
    }
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
        let found = find("rds", operation).expect("it is in the model");
        found.judge(&post("rds", body), &Reply::ok(answer.to_owned()))
    }

    fn of_globals(members: &str) -> Vec<String> {
        let answer = format!(
            "<DescribeGlobalClustersResponse><DescribeGlobalClustersResult><GlobalClusters>{members}\
             </GlobalClusters></DescribeGlobalClustersResult><ResponseMetadata/></DescribeGlobalClustersResponse>"
        );
        of_rds("DescribeGlobalClusters", "Action=DescribeGlobalClusters&Version=2014-10-31", &answer)
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
    }

    #[test]
    fn a_refusal_has_a_code_of_its_operation() {
        let promote = find("rds", "PromoteReadReplica").expect("it is in the model");
        assert_eq!(promote.judge_refusal(404, "DBInstanceNotFound"), [""; 0]);
        assert_eq!(promote.judge_refusal(400, "Throttling"), [""; 0]);
        assert_eq!(
            promote.judge_refusal(400, "DBInstanceNotFound"),
            ["DBInstanceNotFound is answered with 400, not 404"]
        );
        let found = promote.judge_refusal(404, "DBClusterNotFoundFault");
        assert_eq!(found, ["the operation has no error DBClusterNotFoundFault"]);
        assert!(find("rds", "PromoteEverything").is_err());
    }
}
