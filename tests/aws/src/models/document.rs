//! Bodies of every protocol as one kind of tree.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// As what something is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Written {
    /// In XML and in forms all values look alike.
    #[default]
    Text,
    /// The rest is of JSON.
    JsonText,
    Number,
    Flag,
    Fields,
    Values,
}

/// An element of XML, or what stands for one.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// Without a namespace.
    pub(super) name: String,
    pub(super) written: Written,
    pub(super) text: String,
    pub(super) children: Vec<Self>,
}

impl Element {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The document's root.
    pub(super) fn read_xml(body: &[u8]) -> Result<Self, String> {
        let broken = |what: &dyn std::fmt::Display| format!("its body is no XML: {what}");
        let text = std::str::from_utf8(body).map_err(|error| broken(&error))?;
        let mut reader = Reader::from_str(text);
        // The document, and the elements that are open in it.
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().map_err(|error| broken(&error))? {
                Event::Start(start) => open.push(of_tag(&start)),
                Event::Empty(start) => close(&mut open, of_tag(&start)),
                Event::End(_) => {
                    let ended = open.pop().unwrap_or_default();
                    close(&mut open, ended);
                }
                Event::Text(found) => {
                    if let Some(of) = open.last_mut() {
                        of.text.push_str(&found);
                    }
                }
                // A character that is written as a reference.
                Event::GeneralRef(_) => {
                    if let Some(of) = open.last_mut() {
                        of.text.push('&');
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let [document] = &mut open[..] else { return Err(broken(&"an element is not closed")) };
        let root = document.children.pop().ok_or_else(|| broken(&"it has no element"))?;
        if document.children.is_empty() { Ok(root) } else { Err(broken(&"it has more than one root")) }
    }

    /// The members of a list are called `member`.
    pub(super) fn of_json(name: &str, value: &Value) -> Self {
        let (written, text) = match value {
            Value::Object(_) => (Written::Fields, String::new()),
            Value::Array(_) => (Written::Values, String::new()),
            Value::String(text) => (Written::JsonText, text.clone()),
            Value::Bool(flag) => (Written::Flag, flag.to_string()),
            Value::Number(number) => (Written::Number, number.to_string()),
            Value::Null => (Written::JsonText, String::new()),
        };
        let children = match value {
            Value::Object(fields) => {
                let given = fields.iter().filter(|(_, value)| !value.is_null());
                given.map(|(name, value)| Self::of_json(name, value)).collect()
            }
            Value::Array(values) => values.iter().map(|value| Self::of_json("member", value)).collect(),
            _ => Vec::new(),
        };
        Self { written, text, children, ..Self::named(name) }
    }

    /// Of `Filters.Filter.1.Name=x`: `<Filters><Filter><Name>x`.
    pub(super) fn of_form<'a>(fields: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Self {
        let fields: Vec<(Cow<'a, str>, Cow<'a, str>)> = fields.collect();
        let parted = fields.iter().map(|(name, value)| (name.split('.').collect::<Vec<_>>(), &**value));
        Self { children: group(&parted.collect::<Vec<_>>()), ..Self::default() }
    }
}

fn of_tag(start: &BytesStart<'_>) -> Element {
    Element::named(start.local_name().as_ref())
}

fn close(open: &mut [Element], ended: Element) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(ended);
    }
}

/// The elements that these fields make, each with the rest of its path.
fn group(fields: &[(Vec<&str>, &str)]) -> Vec<Element> {
    let mut heads: BTreeMap<&str, Vec<(Vec<&str>, &str)>> = BTreeMap::new();
    for (path, value) in fields {
        if let Some((head, rest)) = path.split_first() {
            heads.entry(head).or_default().push((rest.to_vec(), value));
        }
    }
    heads.into_iter().flat_map(|(head, fields)| siblings(head, &fields)).collect()
}

/// One element, or one for each number that follows its name: they count from 1, or stand for nothing.
fn siblings(name: &str, fields: &[(Vec<&str>, &str)]) -> Vec<Element> {
    let texts = fields.iter().filter(|(path, _)| path.is_empty()).map(|(_, value)| (*value).to_owned());
    let mut all: Vec<Element> = texts.map(|text| Element { text, ..Element::named(name) }).collect();
    let children = group(fields);
    let are_counted = (1..=children.len()).all(|number| {
        let number = number.to_string();
        children.iter().any(|child| child.name == number)
    });
    if children.is_empty() {
        return all;
    }
    if are_counted {
        all.extend(children.into_iter().map(|child| Element { name: name.to_owned(), ..child }));
    } else {
        all.push(Element { children, ..Element::named(name) });
    }
    all
}
