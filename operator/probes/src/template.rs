//! Templates: `{{ region.name }}`, `{{ region.values.KEY }}` and, in a suite, the names that earlier steps saved.
//!
//! What belongs to the region is filled in when compiling; a template without saved names is a plain text then.

use crate::spec::RegionVars;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Values that a suite's steps saved, as texts.
pub(crate) type Saved = BTreeMap<String, String>;

/// What is wrong with a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TemplateError {
    /// 1-based, in characters.
    pub(crate) column: usize,
    pub(crate) problem: String,
}

/// How saved values are put in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Escape {
    /// As they are.
    Nothing,
    /// Percent-encoded, but for one at the very beginning: it is a URL itself.
    Url,
    /// As the inside of a JSON text.
    Json,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Saved(String),
}

/// A compiled template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Template(Vec<Part>);

impl Template {
    /// Compiles `source`. `region` is absent where no region is known; `saved` are the names of earlier steps.
    pub(crate) fn compile(
        source: &str,
        region: Option<&RegionVars>,
        saved: &[&str],
    ) -> Result<Self, TemplateError> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = source;
        while let Some(open) = rest.find("{{") {
            push_text(&mut parts, &rest[..open]);
            let inside = &rest[open + 2..];
            let column = source[..source.len() - inside.len()].chars().count() - 1;
            let Some(close) = inside.find("}}") else {
                return Err(TemplateError { column, problem: "`{{` without `}}`".to_owned() });
            };
            let name = inside[..close].trim();
            match look_up(name, region, saved).map_err(|problem| TemplateError { column, problem })? {
                Part::Text(text) => push_text(&mut parts, &text),
                saved @ Part::Saved(_) => parts.push(saved),
            }
            rest = &inside[close + 2..];
        }
        push_text(&mut parts, rest);
        Ok(Self(parts))
    }

    /// The text, if nothing saved is in it.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Names of saved values in it.
    pub(crate) fn saved_names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Saved(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Fills in saved values. The error is the name that is missing.
    pub(crate) fn render(&self, saved: &Saved, escape: Escape) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Saved(name) => {
                    let value = saved.get(name).ok_or_else(|| name.clone())?;
                    let first = out.is_empty();
                    out.push_str(&escaped(value, escape, first));
                }
            }
        }
        Ok(out)
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

fn look_up(name: &str, region: Option<&RegionVars>, saved: &[&str]) -> Result<Part, String> {
    if let Some(of_region) = name.strip_prefix("region.") {
        let Some(region) = region else { return Err(format!("{name}: no region is known here")) };
        if of_region == "name" {
            return Ok(Part::Text(region.name.to_string()));
        }
        let key = of_region.strip_prefix("values.").ok_or_else(|| {
            format!("a region has no {of_region}; there are region.name and region.values.KEY")
        })?;
        return region.values.get(key).map(|value| Part::Text(value.clone())).ok_or_else(|| {
            format!("region {} has no value {key}; give it under regions[{0}].values", region.name)
        });
    }
    if saved.contains(&name) {
        return Ok(Part::Saved(name.to_owned()));
    }
    let known = if saved.is_empty() { "none".to_owned() } else { saved.join(", ") };
    Err(format!(
        "nothing is named {name:?} here; there are region.name, region.values.KEY and what earlier steps save ({known})"
    ))
}

fn escaped(value: &str, escape: Escape, first: bool) -> Cow<'_, str> {
    match escape {
        Escape::Nothing => Cow::Borrowed(value),
        Escape::Url if first => Cow::Borrowed(value),
        Escape::Url => Cow::Owned(percent_encode(value)),
        Escape::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
        }
    }
}

/// RFC 3986, section 2.3: everything but the unreserved characters.
fn percent_encode(value: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Escape, Saved, Template};
    use crate::spec::RegionVars;

    fn east() -> RegionVars {
        let values = [("api".to_owned(), "http://127.0.1.1:8080".to_owned())].into();
        RegionVars { name: "east".into(), values }
    }

    fn render(source: &str, saved: &[(&str, &str)], escape: Escape) -> String {
        let names: Vec<&str> = saved.iter().map(|(name, _)| *name).collect();
        let saved: Saved = saved.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let template = Template::compile(source, Some(&east()), &names).expect(source);
        template.render(&saved, escape).expect(source)
    }

    #[test]
    fn region_and_saved_values_are_filled_in() {
        assert_eq!(
            render("{{ region.values.api }}/{{region.name}}/{{ id }}?x", &[("id", "a/b c")], Escape::Url),
            "http://127.0.1.1:8080/east/a%2Fb%20c?x"
        );
        assert_eq!(render("{{ url }}", &[("url", "http://x/y")], Escape::Url), "http://x/y");
        assert_eq!(
            render(r#"{"a":"{{ v }}"}"#, &[("v", "say \"hi\"\n")], Escape::Json),
            r#"{"a":"say \"hi\"\n"}"#
        );
        assert_eq!(render("Bearer {{ t }}", &[("t", "a/b")], Escape::Nothing), "Bearer a/b");
    }

    #[test]
    fn a_template_of_the_region_alone_is_a_plain_text() {
        let template = Template::compile("{{ region.values.api }}/x", Some(&east()), &[]).expect("compiles");
        assert_eq!(template.fixed(), Some("http://127.0.1.1:8080/x"));
    }

    #[test]
    fn mistakes_are_refused_with_their_place() {
        for (source, column, problem) in [
            ("a {{ region.name", 3, "`{{` without `}}`"),
            ("é{{ id }}", 2, "nothing is named \"id\" here"),
            ("{{ region.nam }}", 1, "a region has no nam"),
            (
                "{{ region.values.web }}",
                1,
                "region east has no value web; give it under regions[east].values",
            ),
        ] {
            let error = Template::compile(source, Some(&east()), &[]).expect_err(source);
            assert_eq!(error.column, column, "{source}");
            assert!(error.problem.starts_with(problem), "{source}: {}", error.problem);
        }
    }
}
