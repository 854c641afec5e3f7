//! Where a verb's words go: data to standard output in the wished format, notes to standard error.

use super::exit::{Code, Done, Failure};
use super::paint::{ColorWhen, Paint};
use serde::Serialize;
use std::io::{self, BufRead, IsTerminal, Write};

/// How data is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For scripts; the API's own types.
    Json,
    /// The same as YAML.
    Yaml,
}

/// The reader's screen, or the pipe in its place.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Standard output is a terminal.
    pub terminal: bool,
    /// A person can be asked: standard input is a terminal, and so is standard error.
    pub can_ask: bool,
    /// Columns.
    pub width: usize,
    /// Colours on standard output.
    pub paint: Paint,
    /// Colours on standard error.
    pub note_paint: Paint,
}

/// What text is laid out for when there is no screen.
const PIPE_WIDTH: usize = 80;

impl Screen {
    /// Looks at standard input, output and error.
    pub fn look(color: ColorWhen) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let width =
            terminal_size::terminal_size().filter(|_| out).map_or(PIPE_WIDTH, |(w, _)| usize::from(w.0));
        Self {
            terminal: out && !dumb,
            can_ask: io::stdin().is_terminal() && err,
            width: width.clamp(40, 140),
            paint: Paint::choose(color, no_color || dumb, out),
            note_paint: Paint::choose(color, no_color || dumb, err),
        }
    }

    /// Text to standard output, as it is.
    pub fn print(&self, text: &str) -> Done {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| output_failure(&e))
    }

    /// A remark for the person, to standard error.
    pub fn note(&self, text: &str) {
        // Nobody is left to tell when standard error is gone.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Data in the wished format; `text` is only made for a table.
    pub fn emit<T: Serialize>(&self, format: Format, data: &T, text: impl FnOnce() -> String) -> Done {
        match format {
            Format::Table => self.print(&text()),
            Format::Json | Format::Yaml => self.print(&structured(format, data, false)?),
        }
    }

    /// As [`Self::emit`] for one of many: JSON on one line, YAML as a document of its own.
    pub fn emit_one<T: Serialize>(&self, format: Format, data: &T, text: impl FnOnce() -> String) -> Done {
        match format {
            Format::Table => self.print(&text()),
            Format::Json | Format::Yaml => self.print(&structured(format, data, true)?),
        }
    }

    /// Replaces what is on the terminal.
    pub fn redraw(&self, text: &str) -> Done {
        self.print(&format!("\x1b[H\x1b[2J\x1b[3J{text}"))
    }

    /// Asks; only `y` and `yes` mean yes.
    pub fn ask(&self, question: &str) -> Done<bool> {
        let mut err = io::stderr().lock();
        let _ = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
        let mut line = String::new();
        io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|e| Failure::failed(format!("cannot read the answer: {e}")))?;
        Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}

fn output_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        // The reader (`head`) has seen enough; that is no failure to speak of.
        return Failure::said(Code::Failed);
    }
    Failure::failed(format!("cannot write to standard output: {error}"))
}

/// `data` as JSON or YAML. YAML goes through JSON, so that both have the same shape and no tags.
pub fn structured<T: Serialize>(format: Format, data: &T, one_of_many: bool) -> Done<String> {
    let failed = |e: &dyn std::fmt::Display| Failure::failed(format!("cannot print the answer: {e}"));
    let value = serde_json::to_value(data).map_err(|e| failed(&e))?;
    if format == Format::Yaml {
        let text = serde_yaml_ng::to_string(&value).map_err(|e| failed(&e))?;
        return Ok(if one_of_many { format!("---\n{text}") } else { text });
    }
    let text = if one_of_many { serde_json::to_string(&value) } else { serde_json::to_string_pretty(&value) };
    text.map(|t| t + "\n").map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::journal::Trigger;

    #[test]
    fn yaml_has_the_shape_of_json_and_no_tags() {
        let yaml = structured(Format::Yaml, &Trigger::Person("kim".into()), false).unwrap();
        assert_eq!(yaml, "Person: kim\n");
    }

    #[test]
    fn one_of_many_is_a_line_of_json() {
        let json = structured(Format::Json, &Trigger::Person("kim".into()), true).unwrap();
        assert_eq!(json, "{\"Person\":\"kim\"}\n");
    }
}
