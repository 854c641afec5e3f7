//! What a call printed or answered: bounded, and quoted safely.

use tokio::io::{AsyncRead, AsyncReadExt};

/// The most that is kept of an output, in bytes; of more, the end.
pub(super) const MAX_OUTPUT: usize = 64 * 1024;
/// The most that a message quotes, in characters.
const MAX_QUOTE: usize = 200;

/// The end of an output.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    cut: bool,
}

impl Output {
    pub(super) fn extend(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
        if self.bytes.len() > 2 * MAX_OUTPUT {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        let excess = self.bytes.len().saturating_sub(MAX_OUTPUT);
        self.cut |= excess > 0;
        self.bytes.drain(..excess);
    }

    /// The text, at most [`MAX_OUTPUT`] bytes before decoding, and whether something before it was dropped.
    pub(super) fn finish(mut self) -> (String, bool) {
        self.shorten();
        (String::from_utf8_lossy(&self.bytes).into_owned(), self.cut)
    }

    /// Reads to the end; what does not fit is read and dropped, so that the writer never blocks.
    pub(super) async fn drain(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut buffer = vec![0; 8192];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            self.extend(&buffer[..length]);
        }
    }
}

/// The last line that says something, fit for a message: no control characters, bounded.
pub(super) fn quote_last_line(text: &str) -> Option<String> {
    text.lines().rev().map(clean).find(|line| !line.is_empty())
}

/// One line, fit for a message.
fn clean(line: &str) -> String {
    let shown: String = line.chars().filter(|c| !c.is_control()).collect();
    let shown = shown.trim();
    match shown.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_output_is_kept() {
        let mut output = Output::default();
        for n in 0..100_000 {
            output.extend(format!("line {n}\n").as_bytes());
        }
        let (text, cut) = output.finish();
        assert!(cut && text.len() == MAX_OUTPUT && text.ends_with("line 99999\n"));
    }

    #[test]
    fn a_quote_is_the_last_line_without_escape_sequences() {
        assert_eq!(quote_last_line("one\n\x1b[31mtwo\x07\r\n \n").as_deref(), Some("[31mtwo"));
        assert_eq!(quote_last_line("\n\n"), None);
        let long = quote_last_line(&"ä".repeat(1000)).unwrap();
        assert_eq!(long.chars().count(), MAX_QUOTE + 3);
    }
}
