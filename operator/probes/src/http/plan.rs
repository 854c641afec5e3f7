//! An HTTP request compiled for one region: everything that can be known before the first run is.

use super::target::Target;
use crate::error::{Mistakes, SpecError};
use crate::expr::{Expr, Kind, Names};
use crate::net::TlsClient;
use crate::net::tls::Inside;
use crate::spec::{HttpMethod, HttpSpec, RegionVars};
use crate::template::{Escape, Saved, Template};
use bytes::Bytes;
use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use std::sync::Arc;

/// What expressions see of an answer.
pub(crate) const NAMES: Names = &[
    ("status", Kind::Number),
    ("headers", Kind::TextMap),
    ("body", Kind::Any),
    ("text", Kind::Text),
    ("latency", Kind::Duration),
    ("cert", Kind::Cert),
];
/// More redirects than any browser follows are a mistake.
const MAX_REDIRECTS: u32 = 20;

/// Where an HTTP request stands in the policy, and what is known there.
pub(crate) struct Place<'a> {
    /// `probes[api].http`.
    pub(crate) field: &'a str,
    /// Absent for the public probe.
    pub(crate) region: Option<&'a RegionVars>,
    /// Names that earlier steps save.
    pub(crate) saved: &'a [&'a str],
}

impl Place<'_> {
    fn at(&self, part: &str) -> String {
        format!("{}.{part}", self.field)
    }

    fn template(&self, part: &str, source: &str) -> Result<Template, SpecError> {
        Template::compile(source, self.region, self.saved)
            .map_err(|e| SpecError::template(&self.at(part), source, e))
    }
}

#[derive(Debug)]
enum UrlPlan {
    Fixed(Arc<Target>),
    Rendered(Template),
}

#[derive(Debug)]
enum BodyPlan {
    Fixed(Bytes),
    Rendered(Template, Escape),
}

/// What the expressions of a request look at: independent switches.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Wants {
    pub(crate) headers: bool,
    pub(crate) body: bool,
    pub(crate) text: bool,
    pub(crate) cert: bool,
}

/// A map takes 96 bytes when it is empty and 700 with one header; each probe has two.
type Header = (HeaderName, HeaderValue);

/// A compiled request.
#[derive(Debug)]
pub(crate) struct HttpPlan {
    pub(crate) method: http::Method,
    url: UrlPlan,
    headers: Box<[Header]>,
    rendered_headers: Vec<(HeaderName, Template)>,
    pub(crate) secret_headers: Box<[Header]>,
    body: BodyPlan,
    pub(crate) expect: Vec<Expr>,
    pub(crate) save: Vec<(String, Expr)>,
    pub(crate) wants: Wants,
    pub(crate) follow: u32,
    pub(crate) fresh: bool,
    pub(crate) tls: TlsClient,
    /// Never shown.
    pub(crate) secrets: Vec<String>,
}

/// One request, ready to be sent.
pub(crate) struct Prepared {
    pub(crate) target: Arc<Target>,
    pub(crate) method: http::Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl HttpPlan {
    /// Compiles; mistakes are collected, and `None` given, if there are any.
    pub(crate) fn compile(
        spec: &HttpSpec,
        save: &[(&str, &str)],
        place: &Place<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let url = mistakes.take(compile_url(spec, place));
        let headers = compile_headers(spec, place, mistakes);
        let body = mistakes.take(compile_body(spec, place));
        let expect = compile_expect(spec, place, mistakes);
        let save = compile_save(save, place, mistakes);
        let tls = TlsClient::build(&spec.tls, Inside::Http1);
        let tls = mistakes.take(tls.map_err(|problem| SpecError::new(&place.at("tls"), problem)));
        if spec.follow_redirects > MAX_REDIRECTS {
            let problem = format!("{} is too many; at most {MAX_REDIRECTS}", spec.follow_redirects);
            mistakes.add(SpecError::new(&place.at("followRedirects"), problem));
        }
        let (fixed, rendered_headers, secret_headers) = headers?;
        let (url, expect, save) = (url?, expect?, save?);
        let wants = wants_of(expect.iter().chain(save.iter().map(|(_, expr)| expr)));
        if let (UrlPlan::Fixed(target), true, 0) = (&url, wants.cert, spec.follow_redirects)
            && !target.origin.https
        {
            mistakes.add(SpecError::new(&place.at("expect"), "speaks of cert, but the URL is not https"));
            return None;
        }
        Some(Self {
            method: method_of(spec.method),
            url,
            headers: fixed,
            rendered_headers,
            secret_headers,
            body: body?,
            expect,
            save,
            wants,
            follow: spec.follow_redirects,
            fresh: spec.fresh_connection,
            tls: tls?,
            secrets: spec.secret_headers.iter().map(|(_, s)| s.expose().to_owned()).collect(),
        })
    }

    /// Names of saved values that go into headers: tokens, most likely.
    pub(crate) fn saved_in_headers(&self) -> impl Iterator<Item = &str> {
        self.rendered_headers.iter().flat_map(|(_, template)| template.saved_names())
    }

    /// Fills in what earlier steps saved. The error says what is missing or does not fit.
    pub(crate) fn prepare(&self, saved: &Saved) -> Result<Prepared, String> {
        let missing = |name: String| format!("{name} was not saved");
        let target = match &self.url {
            UrlPlan::Fixed(target) => Arc::clone(target),
            UrlPlan::Rendered(template) => {
                let url = template.render(saved, Escape::Url).map_err(missing)?;
                Arc::new(Target::parse(&url).map_err(|problem| format!("the URL {problem}"))?)
            }
        };
        // Not in the plan: each probe would keep them.
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 4);
        headers.insert(USER_AGENT, HeaderValue::from_static("muster"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        for (name, template) in &self.rendered_headers {
            let value = template.render(saved, Escape::Nothing).map_err(missing)?;
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| format!("what was saved cannot stand in the header {name}"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let body = match &self.body {
            BodyPlan::Fixed(bytes) => bytes.clone(),
            BodyPlan::Rendered(template, escape) => template.render(saved, *escape).map_err(missing)?.into(),
        };
        Ok(Prepared { target, method: self.method.clone(), headers, body })
    }
}

/// The field of the policy that holds the URL.
fn url_field(method: HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "get",
        HttpMethod::Post => "post",
        HttpMethod::Put => "put",
        HttpMethod::Patch => "patch",
        HttpMethod::Delete => "delete",
    }
}

const fn method_of(method: HttpMethod) -> http::Method {
    match method {
        HttpMethod::Get => http::Method::GET,
        HttpMethod::Post => http::Method::POST,
        HttpMethod::Put => http::Method::PUT,
        HttpMethod::Patch => http::Method::PATCH,
        HttpMethod::Delete => http::Method::DELETE,
    }
}

fn compile_url(spec: &HttpSpec, place: &Place<'_>) -> Result<UrlPlan, SpecError> {
    let part = url_field(spec.method);
    let template = place.template(part, &spec.url)?;
    let Some(fixed) = template.fixed() else { return Ok(UrlPlan::Rendered(template)) };
    let target = Target::parse(fixed).map_err(|problem| {
        // What stands before an @ may be a password.
        let shown = if fixed.contains('@') { "the URL" } else { &format!("`{fixed}`") };
        SpecError::new(&place.at(part), format!("{shown} {problem}"))
    })?;
    Ok(UrlPlan::Fixed(Arc::new(target)))
}

type Headers = (Box<[Header]>, Vec<(HeaderName, Template)>, Box<[Header]>);

fn compile_headers(spec: &HttpSpec, place: &Place<'_>, mistakes: &mut Mistakes) -> Option<Headers> {
    let (mut fixed, mut rendered, mut secret) = (Vec::new(), Vec::new(), Vec::<Header>::new());
    let mut whole = true;
    for (name, source) in &spec.headers {
        let part = format!("headers[{name}]");
        let compiled = header_name(name, &place.at(&part))
            .and_then(|header| Ok((header, place.template(&part, source)?)))
            .and_then(|(header, template)| match template.fixed() {
                None => Ok((header, Err(template))),
                Some(text) => HeaderValue::from_str(text)
                    .map(|value| (header, Ok(value)))
                    .map_err(|_| SpecError::new(&place.at(&part), "cannot stand in a header")),
            });
        match mistakes.take(compiled) {
            Some((header, Ok(value))) => fixed.push((header, value)),
            Some((header, Err(template))) => rendered.push((header, template)),
            None => whole = false,
        }
    }
    for (name, value) in &spec.secret_headers {
        let field = place.at(&format!("secretHeaders[{name}]"));
        let compiled = header_name(name, &field).and_then(|header| {
            let value = HeaderValue::from_str(value.expose());
            let mut value =
                value.map_err(|_| SpecError::new(&field, "the secret cannot stand in a header"))?;
            value.set_sensitive(true);
            Ok((header, value))
        });
        match mistakes.take(compiled) {
            Some((header, value)) => {
                secret.retain(|(name, _)| *name != header);
                secret.push((header, value));
            }
            None => whole = false,
        }
    }
    whole.then(|| (fixed.into(), rendered, secret.into()))
}

fn header_name(name: &str, field: &str) -> Result<HeaderName, SpecError> {
    let header = HeaderName::try_from(name).map_err(|_| SpecError::new(field, "is no header name"))?;
    let ours = [
        http::header::CONNECTION,
        http::header::CONTENT_LENGTH,
        http::header::TRANSFER_ENCODING,
        http::header::UPGRADE,
    ];
    if ours.contains(&header) {
        return Err(SpecError::new(field, "is set by the connection itself"));
    }
    Ok(header)
}

fn compile_body(spec: &HttpSpec, place: &Place<'_>) -> Result<BodyPlan, SpecError> {
    let Some(source) = &spec.body else { return Ok(BodyPlan::Fixed(Bytes::new())) };
    let template = place.template("body", source)?;
    if let Some(text) = template.fixed() {
        return Ok(BodyPlan::Fixed(Bytes::copy_from_slice(text.as_bytes())));
    }
    let json = source.trim_start().starts_with(['{', '[']);
    Ok(BodyPlan::Rendered(template, if json { Escape::Json } else { Escape::Nothing }))
}

fn compile_expect(spec: &HttpSpec, place: &Place<'_>, mistakes: &mut Mistakes) -> Option<Vec<Expr>> {
    let compiled = spec.expect.iter().enumerate().map(|(n, source)| {
        let expr = Expr::expectation(source, NAMES);
        expr.map_err(|e| SpecError::expression(&place.at(&format!("expect[{n}]")), source, e))
    });
    let compiled: Vec<Option<Expr>> = compiled.map(|result| mistakes.take(result)).collect();
    compiled.into_iter().collect()
}

fn compile_save(
    save: &[(&str, &str)],
    place: &Place<'_>,
    mistakes: &mut Mistakes,
) -> Option<Vec<(String, Expr)>> {
    let compiled = save.iter().map(|(name, source)| {
        let field = place.at(&format!("save[{name}]"));
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain || *name == "region" {
            return Err(SpecError::new(
                &field,
                "the name must be of letters, digits and _, and not `region`",
            ));
        }
        let expr = Expr::value(source, NAMES).map_err(|e| SpecError::expression(&field, source, e))?;
        Ok(((*name).to_owned(), expr))
    });
    let compiled: Vec<Option<_>> = compiled.map(|result| mistakes.take(result)).collect();
    compiled.into_iter().collect()
}

fn wants_of<'a>(exprs: impl Iterator<Item = &'a Expr>) -> Wants {
    exprs.fold(Wants::default(), |wants, expr| Wants {
        headers: wants.headers || expr.uses("headers"),
        body: wants.body || expr.uses("body"),
        text: wants.text || expr.uses("text"),
        cert: wants.cert || expr.uses("cert"),
    })
}
