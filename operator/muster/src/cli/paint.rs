//! Colours by meaning, and text made safe for a terminal.

/// When to colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Also into a pipe.
    Always,
    /// Not at all.
    Never,
}

/// What a piece of text means; colour never carries anything that the words do not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// As it should be.
    Good,
    /// Someone should look.
    Warn,
    /// Broken or refused.
    Bad,
    /// A title.
    Strong,
    /// Less important.
    Dim,
}

/// Paints, or leaves text as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// No colours: for pipes and tests.
    pub const PLAIN: Self = Self { on: false };

    /// By the person's wish, `NO_COLOR` and whether the output is a terminal.
    pub const fn choose(when: ColorWhen, no_color: bool, terminal: bool) -> Self {
        let on = match when {
            ColorWhen::Auto => terminal && !no_color,
            ColorWhen::Always => true,
            ColorWhen::Never => false,
        };
        Self { on }
    }

    /// Whether colours are on.
    pub const fn is_on(self) -> bool {
        self.on
    }

    /// `text` in the colour of `tone`.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Strong => "1",
            Tone::Dim => "2",
        };
        if self.on && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
    /// A title.
    pub fn strong(self, text: &str) -> String {
        self.tone(Tone::Strong, text)
    }
    /// Less important text.
    pub fn dim(self, text: &str) -> String {
        self.tone(Tone::Dim, text)
    }
}

/// `text` without control characters: what a target answered must not steer the reader's terminal.
pub fn clean(text: &str) -> String {
    let flat = text.replace(['\n', '\t', '\r'], " ");
    flat.trim_end().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_off_in_a_pipe_and_with_no_color_and_on_when_asked_for() {
        assert!(Paint::choose(ColorWhen::Auto, false, true).is_on());
        assert!(!Paint::choose(ColorWhen::Auto, false, false).is_on());
        assert!(!Paint::choose(ColorWhen::Auto, true, true).is_on());
        assert!(Paint::choose(ColorWhen::Always, true, false).is_on());
        assert!(!Paint::choose(ColorWhen::Never, false, true).is_on());
    }

    #[test]
    fn an_answer_with_escape_codes_cannot_steer_the_terminal() {
        assert_eq!(clean("bad \x1b[2Jbody\nmore"), "bad \u{fffd}[2Jbody more");
    }
}
