//! A role, by the API of IAM: one call, for which the workspace needs no SDK of that service.

use crate::aws::{ACCESS_KEY, SECRET_KEY};
use anyhow::{Context, ensure};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::form_urlencoded;

const FORM: &str = "application/x-www-form-urlencoded";

/// Creates a role that every caller may assume who names the external id, if there is one, and returns its ARN.
pub(super) async fn create_role(
    endpoint: &str,
    name: &str,
    external_id: Option<&str>,
) -> anyhow::Result<String> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", "CreateRole").append_pair("Version", "2010-05-08");
    form.append_pair("RoleName", name);
    form.append_pair("AssumeRolePolicyDocument", &trust(external_id).to_string());
    let body = form.finish();
    let request = Request::post(format!("{endpoint}/")).header("content-type", FORM);
    let mut request = request.body(Full::new(Bytes::from(body.clone())))?;
    sign_request(&mut request, &body)?;
    let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    let body = String::from_utf8_lossy(&body);
    ensure!(status.is_success(), "refused: {status}");
    let arn = body.split_once("<Arn>").and_then(|(_, rest)| rest.split_once("</Arn>"));
    Ok(arn.context("a role without an ARN")?.0.to_owned())
}

fn sign_request<B>(request: &mut Request<B>, body: &str) -> anyhow::Result<()> {
    let identity = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "given").into();
    let parameters = v4::SigningParams::builder().identity(&identity).region("us-east-1").name("iam");
    let parameters = parameters.time(Timestamp::now().into()).settings(SigningSettings::default()).build()?;
    let headers = [("content-type", FORM)].into_iter();
    let uri = request.uri().to_string();
    let signable = SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(body.as_bytes()))?;
    let (instructions, _) = sign(signable, &parameters.into())?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

fn trust(external_id: Option<&str>) -> Value {
    let condition = external_id.map(|id| json!({"StringEquals": {"sts:ExternalId": id}}));
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": "sts:AssumeRole",
            "Condition": condition.unwrap_or_else(|| json!({})),
        }],
    })
}
