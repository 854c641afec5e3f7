//! YAML text to trees that keep their lines, with bounds on everything that a hostile file could blow up.

use super::scalar::{Scalar, read_plain};
use crate::problem::Problem;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The deepest nesting; a policy needs about ten.
const MAX_DEPTH: usize = 64;
/// Nodes of a file, aliases counted as often as they are used: a "billion laughs" ends here.
const MAX_NODES: usize = 100_000;
/// Problems that are listed; more would only hide the first.
const MAX_PROBLEMS: usize = 100;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// From 1.
    pub(super) line: u32,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Of the key.
    pub(super) line: u32,
    pub(super) value: Node,
}

impl Node {
    /// The value of a key of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }
    pub(super) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }
    fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::List(items) => items.iter().map(Self::count).sum(),
            Kind::Map(entries) => entries.iter().map(|e| e.value.count()).sum(),
            _ => 0,
        }
    }
    fn depth(&self) -> usize {
        1 + match &self.kind {
            Kind::List(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Map(entries) => entries.iter().map(|e| e.value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// The documents of a text, and what is wrong with them as YAML. After a syntax error the documents before it are
/// still there.
pub(super) fn parse(text: &str) -> (Vec<Node>, Vec<Problem>) {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => builder.take(event, &span),
            Err(error) => Err(syntax_error(text, &error)),
        };
        if let Err(problem) = step {
            builder.problems.push(problem);
            break;
        }
    }
    (builder.documents, builder.problems)
}

fn syntax_error(text: &str, error: &saphyr_parser::ScanError) -> Problem {
    let line = line_of(error.marker().line());
    let has_tab =
        text.lines().nth(line as usize - 1).is_some_and(|l| l.trim_start_matches(' ').starts_with('\t'));
    let fix = if has_tab {
        "indent by spaces: YAML takes no tabs"
    } else {
        "look at this line and the one before it: indentation, a missing quote, bracket or colon"
    };
    Problem::error("", format!("not YAML: {}", error.info()), fix).at_line(line)
}

fn line_of(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX).max(1)
}

/// An open list or map.
struct Frame {
    anchor: usize,
    line: u32,
    kind: FrameKind,
}

enum FrameKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, u32)> },
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    problems: Vec<Problem>,
    open: Vec<Frame>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl Builder {
    /// Takes one event. An error ends the reading.
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let line = line_of(span.start.line());
        match event {
            Event::DocumentStart(_) => {
                self.anchors.clear();
                self.open.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let kind = self.read_scalar(&text, style, tag.as_deref(), line);
                self.finish(Node { line, kind }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open_frame(anchor, line, FrameKind::List(Vec::new()), tag.as_deref())
            }
            Event::MappingStart(anchor, tag) => {
                let kind = FrameKind::Map { entries: Vec::new(), key: None };
                self.open_frame(anchor, line, kind, tag.as_deref())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Frame { anchor, line, kind: FrameKind::List(items) }) => {
                    self.finish(Node { line, kind: Kind::List(items) }, anchor)
                }
                Some(Frame { anchor, line, kind: FrameKind::Map { entries, .. } }) => {
                    self.finish(Node { line, kind: Kind::Map(entries) }, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => self.expand_alias(anchor, line),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open_frame(
        &mut self,
        anchor: usize,
        line: u32,
        kind: FrameKind,
        tag: Option<&Tag>,
    ) -> Result<(), Problem> {
        self.refuse_tag(tag, line);
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(line));
        }
        self.open.push(Frame { anchor, line, kind });
        Ok(())
    }

    fn too_deep(&self, line: u32) -> Problem {
        let message = format!("nested deeper than {MAX_DEPTH} levels");
        Problem::error(self.path(), message, "no field of a policy is that deep: take levels out")
            .at_line(line)
    }

    fn expand_alias(&mut self, anchor: usize, line: u32) -> Result<(), Problem> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            let message = "an alias to something that is not complete yet";
            let problem = Problem::error(self.path(), message, "write the value out").at_line(line);
            return Err(problem);
        };
        if self.open.len() + node.depth() > MAX_DEPTH {
            return Err(self.too_deep(line));
        }
        self.nodes += node.count() - 1;
        self.finish(node, 0)
    }

    /// Places a complete node: into the open list or map, or as a document.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values in one file, aliases counted each time");
            let fix = "write one policy per file, and values instead of aliases";
            return Err(Problem::error("", message, fix).at_line(node.line));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let path = self.path();
        if self.expects_key() {
            let read = self.read_key(&node, &path);
            if let Some(Frame { kind: FrameKind::Map { key, .. }, .. }) = self.open.last_mut() {
                *key = Some(read);
            }
            return Ok(());
        }
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Frame { kind: FrameKind::List(items), .. }) => items.push(node),
            Some(Frame { kind: FrameKind::Map { entries, key }, .. }) => {
                let (key, line) = key.take().unwrap_or_default();
                if let Some(first) = entries.iter().find(|e| e.key == key) {
                    let message = format!("is given twice, first in line {}", first.line);
                    self.problem(Problem::error(path, message, "keep one of them").at_line(line));
                } else {
                    entries.push(Entry { key, line, value: node });
                }
            }
        }
        Ok(())
    }

    fn read_key(&mut self, node: &Node, path: &str) -> (String, u32) {
        let (key, complaint) = match &node.kind {
            Kind::Text(key) if key == "<<" => (key.clone(), Some("a merge key (<<) is not supported")),
            Kind::Text(key) => (key.clone(), None),
            Kind::Int(number) => (number.to_string(), None),
            Kind::Bool(value) => (value.to_string(), None),
            Kind::Null => (String::new(), Some("a field without a name")),
            Kind::Float(_) | Kind::List(_) | Kind::Map(_) => {
                (String::new(), Some("a field's name must be a text"))
            }
        };
        if let Some(complaint) = complaint {
            let fix = "write each field as `name: value`";
            self.problem(Problem::error(path, complaint, fix).at_line(node.line));
        }
        (key, node.line)
    }

    fn read_scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, line: u32) -> Kind {
        if tag.is_some_and(|t| t.is_yaml_core_schema() && t.suffix == "str") || style != ScalarStyle::Plain {
            return Kind::Text(text.to_owned());
        }
        self.refuse_tag(tag, line);
        match read_plain(text) {
            Scalar::Null => Kind::Null,
            Scalar::Bool(value) => Kind::Bool(value),
            Scalar::Int(number) => Kind::Int(number),
            Scalar::Float(number) => Kind::Float(number),
            Scalar::Text(text) => Kind::Text(text),
            // The check knows what this field was meant to be.
            Scalar::Ambiguous(_) if text == "on" && self.expects_key() => Kind::Text(text.to_owned()),
            Scalar::Ambiguous(meaning) => {
                self.refuse_ambiguous(text, meaning, line);
                Kind::Text(text.to_owned())
            }
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Frame { kind: FrameKind::Map { key: None, .. }, .. }))
    }

    fn refuse_ambiguous(&mut self, text: &str, meaning: &str, line: u32) {
        let message = format!("`{text}` means {meaning} to kubectl and a text to others");
        let fix = match meaning {
            "true" | "false" => format!("write \"{text}\" in quotes for the text, or {meaning}"),
            _ => format!("write \"{text}\" in quotes for the text, or a plain decimal number"),
        };
        self.problem(Problem::error(self.path(), message, fix).at_line(line));
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, line: u32) {
        if let Some(tag) = tag {
            let message = format!("the YAML tag {tag} is not supported");
            self.problem(Problem::error(self.path(), message, "leave the tag out").at_line(line));
        }
    }

    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// Where the next node goes.
    fn path(&self) -> String {
        let mut path = Cow::Borrowed("");
        for frame in &self.open {
            path = match &frame.kind {
                FrameKind::List(items) => join_index(&path, items.len()).into(),
                FrameKind::Map { key: Some((key, _)), .. } => join(&path, key).into(),
                FrameKind::Map { key: None, .. } => path,
            };
        }
        path.into_owned()
    }
}

/// The path of a field.
pub(super) fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// The path of an item.
pub(super) fn join_index(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}
