//! Columns for people: aligned, without frames, the last column wrapped at the screen's width. Pure.

use super::paint::{Paint, Tone, clean};

/// A piece of text with its meaning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text with a meaning, made safe for a terminal.
    pub fn new(tone: Tone, text: impl AsRef<str>) -> Self {
        Self { text: clean(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// Rows under a header.
#[derive(Clone, Debug, Default)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

const GAP: usize = 2;
/// Below this the last column is no longer wrapped but runs over: a word a line reads worse.
const NARROWEST: usize = 16;

impl Table {
    /// With a header; an empty list prints none.
    pub fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new(), indent: 0 }
    }
    /// Everything this far to the right.
    #[must_use]
    pub const fn indent(mut self, by: usize) -> Self {
        self.indent = by;
        self
    }
    /// One more row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }
    /// Whether there is nothing to show.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, each line ended.
    pub fn render(&self, width: usize, paint: Paint) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(self.head.len());
        let widths: Vec<usize> = (0..columns).map(|c| self.column_width(c)).collect();
        let before: usize = self.indent + widths.iter().rev().skip(1).map(|w| w + GAP).sum::<usize>();
        let room = Some(width.saturating_sub(before)).filter(|room| *room >= NARROWEST);
        let head: Vec<Cell> = self.head.iter().map(|h| Cell::new(Tone::Dim, h)).collect();
        let head = (!head.is_empty()).then_some(&head);
        let mut out = String::new();
        for row in head.into_iter().chain(&self.rows) {
            render_row(&mut out, row, &widths, self.indent, room, paint);
        }
        out
    }

    fn column_width(&self, column: usize) -> usize {
        let head = self.head.get(column).map_or(0, |h| h.chars().count());
        let widest = self.rows.iter().filter_map(|r| r.get(column)).map(|c| c.text.chars().count()).max();
        widest.unwrap_or(0).max(head)
    }
}

fn render_row(
    out: &mut String,
    row: &[Cell],
    widths: &[usize],
    indent: usize,
    room: Option<usize>,
    paint: Paint,
) {
    let last = widths.len().saturating_sub(1);
    let mut line = " ".repeat(indent);
    let mut column_start = indent;
    let mut more = Vec::new();
    for (column, cell) in row.iter().enumerate() {
        if column < last {
            line.push_str(&paint.tone(cell.tone, &cell.text));
            line.push_str(&" ".repeat(widths[column] - cell.text.chars().count() + GAP));
            column_start += widths[column] + GAP;
            continue;
        }
        let mut parts = room.map_or_else(|| vec![cell.text.clone()], |room| wrap(&cell.text, room));
        line.push_str(&paint.tone(cell.tone, &parts.remove(0)));
        more = parts.into_iter().map(|part| (cell.tone, part)).collect();
    }
    out.push_str(line.trim_end());
    out.push('\n');
    for (tone, part) in more {
        out.push_str(&" ".repeat(column_start));
        out.push_str(&paint.tone(tone, &part));
        out.push('\n');
    }
}

/// Breaks at spaces so that no line is wider than `width`, unless one word is. At least one line.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let used = lines.last().map_or(0, |l| l.chars().count());
        if used > 0 && used + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// A paragraph: `first`, then `text` wrapped, hanging under where it began. Ends its last line.
pub fn paragraph(first: &str, text: &str, width: usize) -> String {
    let hang = first.chars().count();
    let room = width.saturating_sub(hang).max(NARROWEST);
    let lines = wrap(&clean(text), room);
    let mut out = format!("{first}{}\n", lines[0]);
    for line in &lines[1..] {
        out.push_str(&" ".repeat(hang));
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["NAME", "SAW"]);
        table.row(["lag".into(), "0.4 s behind the primary in the east".into()]);
        table.row([Cell::new(Tone::Bad, "quorum"), "2 of 3".into()]);
        table
    }

    #[test]
    fn the_last_column_wraps_under_itself() {
        let want =
            "NAME    SAW\nlag     0.4 s behind the\n        primary in the\n        east\nquorum  2 of 3\n";
        assert_eq!(sample().render(24, Paint::PLAIN), want);
    }

    #[test]
    fn a_narrow_screen_runs_over_instead_of_showing_a_word_a_line() {
        let text = sample().render(12, Paint::PLAIN);
        assert!(text.contains("0.4 s behind the primary in the east\n"));
    }

    #[test]
    fn colours_do_not_move_the_columns() {
        use super::super::paint::ColorWhen;
        let text = sample().render(80, Paint::choose(ColorWhen::Always, false, false));
        assert!(text.contains("\x1b[31mquorum\x1b[0m  2 of 3"));
    }

    #[test]
    fn paragraphs_hang_under_their_first_word() {
        assert_eq!(paragraph("fix: ", "start the server now", 21), "fix: start the server\n     now\n");
    }
}
