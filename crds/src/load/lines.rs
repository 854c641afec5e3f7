//! From a field's path to the line it stands in.

use super::tree::{Kind, Node, join, join_index};
use std::collections::BTreeMap;

/// The lines of one document's fields.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LineMap(BTreeMap<String, u32>);

impl LineMap {
    pub(super) fn new(document: &Node) -> Self {
        let mut lines = BTreeMap::new();
        lines.insert(String::new(), document.line);
        collect(document, "", &mut lines);
        Self(lines)
    }

    /// The line of a field, or of the nearest one around it that is there.
    pub fn line_of(&self, path: &str) -> Option<u32> {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            if path.is_empty() {
                return None;
            }
            path = path.rfind(['.', '[']).map_or("", |end| &path[..end]);
        }
    }
}

fn collect(node: &Node, path: &str, lines: &mut BTreeMap<String, u32>) {
    match &node.kind {
        Kind::List(items) => {
            for (index, item) in items.iter().enumerate() {
                let path = join_index(path, index);
                collect(item, &path, lines);
                lines.insert(path, item.line);
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                let path = join(path, &entry.key);
                collect(&entry.value, &path, lines);
                lines.insert(path, entry.line);
            }
        }
        _ => {}
    }
}
