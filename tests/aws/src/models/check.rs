//! Holds a document against the shape that it should have.

use super::document::{Element, Written};
use super::shape::{Kind, Member, Shape};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Values that the references have and the models lack, by shape (`API_FailoverState`).
const DOCUMENTED: [(&str, &str); 1] = [("FailoverStatus", "switching-over")];

/// How a member is named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As its location says: XML, and requests of the Query protocol.
    Wire,
    /// By rules of EC2's own; its lists have no element around them.
    Ec2Request,
    /// As the model calls it.
    Json,
}

/// What was found so far.
pub(super) struct Check<'a> {
    shapes: &'a BTreeMap<String, Shape>,
    spelling: Spelling,
    /// Values that are right although no model has them.
    unheard_of: &'a BTreeSet<String>,
    pub(super) breaches: Vec<String>,
}

impl<'a> Check<'a> {
    pub(super) fn new(
        shapes: &'a BTreeMap<String, Shape>,
        spelling: Spelling,
        unheard_of: &'a BTreeSet<String>,
    ) -> Self {
        Self { shapes, spelling, unheard_of, breaches: Vec::new() }
    }

    pub(super) fn say(&mut self, at: &str, what: impl AsRef<str>) {
        self.breaches.push(format!("{at}: {}", what.as_ref()));
    }

    /// White space aside, nothing stands between members.
    fn no_text(&mut self, at: &str, element: &Element) {
        let text = element.text.trim();
        if !text.is_empty() {
            self.say(at, format!("`{text}` stands beside its members"));
        }
    }

    /// The members, by their names.
    pub(super) fn structure(&mut self, at: &str, element: &Element, shape: &Shape) {
        self.no_text(at, element);
        let members: Vec<(&String, &Member, String)> = shape
            .members
            .iter()
            .filter(|(_, member)| member.location.is_none())
            .map(|(name, member)| (name, member, self.spelled(name, member)))
            .collect();
        for child in &element.children {
            if !members.iter().any(|(_, _, spelled)| *spelled == child.name) {
                self.say(&join(at, &child.name), "no such element");
            }
        }
        for (name, member, spelled) in members {
            let found: Vec<&Element> =
                element.children.iter().filter(|child| child.name == spelled).collect();
            if !found.is_empty() {
                self.member(&join(at, &spelled), &found, member);
            } else if shape.required.contains(name) {
                self.say(&join(at, &spelled), "it is missing");
            }
        }
    }

    fn spelled(&self, name: &str, member: &Member) -> String {
        let own = member.location_name.as_deref();
        match self.spelling {
            Spelling::Json => name.to_owned(),
            Spelling::Ec2Request => capitalized(own.unwrap_or(name)),
            Spelling::Wire => {
                // The elements of a list that has none around them go by the name of its members.
                let shape = self.shapes.get(&member.shape);
                let of_items =
                    shape.filter(|shape| self.is_flat(shape)).and_then(|shape| shape.member.as_ref());
                let of_items = of_items.and_then(|item| item.location_name.as_deref());
                of_items.or(own).unwrap_or(name).to_owned()
            }
        }
    }

    fn is_flat(&self, shape: &Shape) -> bool {
        shape.kind == Kind::List && (shape.flattened || self.spelling == Spelling::Ec2Request)
    }

    /// A member that is no part of the body. Times are written there in another way.
    pub(super) fn scalar(&mut self, at: &str, text: &str, member: &Member) {
        let shape = self.shapes.get(&member.shape).filter(|shape| shape.kind != Kind::Timestamp);
        if let Some(shape) = shape {
            self.text(at, text, &member.shape, shape);
        }
    }

    fn member(&mut self, at: &str, found: &[&Element], member: &Member) {
        let Some(shape) = self.shapes.get(&member.shape) else {
            return self.say(at, format!("the model has no shape {}", member.shape));
        };
        if self.is_flat(shape) {
            return self.items(at, found, shape);
        }
        match found {
            [one] => self.value(at, one, &member.shape, shape),
            more => self.say(at, format!("it is there {} times", more.len())),
        }
    }

    fn value(&mut self, at: &str, element: &Element, name: &str, shape: &Shape) {
        if element.written != Written::Text && element.written != written_in_json(shape.kind) {
            return self.say(at, format!("it is written as {:?}, and a {:?}", element.written, shape.kind));
        }
        match shape.kind {
            Kind::Structure => self.structure(at, element, shape),
            Kind::List => {
                self.no_text(at, element);
                let own = shape.member.as_ref().and_then(|item| item.location_name.as_deref());
                let own = own.filter(|_| self.spelling == Spelling::Wire).unwrap_or("member");
                let (items, others): (Vec<&Element>, Vec<&Element>) =
                    element.children.iter().partition(|child| child.name == own);
                for other in others {
                    self.say(at, format!("<{}> in a list of <{own}>", other.name));
                }
                self.items(at, &items, shape);
            }
            Kind::Map => self.say(at, "maps are not read here"),
            _ if !element.children.is_empty() => self.say(at, "it is a text"),
            _ => self.text(at, &element.text, name, shape),
        }
    }

    fn items(&mut self, at: &str, items: &[&Element], list: &Shape) {
        self.within(at, count(items.iter()), "members", list);
        let Some((name, shape)) =
            list.member.as_ref().and_then(|item| self.shapes.get_key_value(&item.shape))
        else {
            return self.say(at, "the model does not say of what it is a list");
        };
        for item in items {
            self.value(&join(at, &item.name), item, name, shape);
        }
    }

    /// A value that has no members.
    fn text(&mut self, at: &str, text: &str, name: &str, shape: &Shape) {
        let is_right = match shape.kind {
            Kind::Boolean => matches!(text, "true" | "false"),
            Kind::Integer | Kind::Long => match text.parse::<i64>() {
                Ok(number) => {
                    self.within(at, number, "it is", shape);
                    shape.kind == Kind::Long || i32::try_from(number).is_ok()
                }
                Err(_) => false,
            },
            Kind::Double => text.parse::<f64>().is_ok(),
            Kind::Timestamp => text.parse::<Timestamp>().is_ok(),
            Kind::String if shape.values.is_empty() => {
                self.within(at, count(text.chars()), "characters", shape);
                true
            }
            Kind::String => {
                shape.values.iter().any(|value| value == text)
                    || self.unheard_of.contains(text)
                    || DOCUMENTED.contains(&(name, text))
            }
            Kind::Blob | Kind::List | Kind::Map | Kind::Structure => true,
        };
        if !is_right {
            self.say(at, format!("`{text}` is no {name} ({:?})", shape.kind));
        }
    }

    fn within(&mut self, at: &str, number: i64, what: &str, shape: &Shape) {
        if shape.min.is_some_and(|min| number < min) || shape.max.is_some_and(|max| number > max) {
            let limits =
                [shape.min, shape.max].map(|limit| limit.map_or("any".to_owned(), |limit| limit.to_string()));
            self.say(at, format!("{what}: {number}, not {} to {}", limits[0], limits[1]));
        }
    }
}

fn written_in_json(kind: Kind) -> Written {
    match kind {
        Kind::Blob | Kind::String => Written::JsonText,
        Kind::Boolean => Written::Flag,
        Kind::Double | Kind::Integer | Kind::Long | Kind::Timestamp => Written::Number,
        Kind::List => Written::Values,
        Kind::Map | Kind::Structure => Written::Fields,
    }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

fn capitalized(name: &str) -> String {
    let mut rest = name.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

fn count(of: impl Iterator) -> i64 {
    i64::try_from(of.count()).unwrap_or(i64::MAX)
}
