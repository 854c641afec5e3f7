//! What people see while the demo runs: one line per event with the time since the start, and on a terminal a last
//! line that moves. In a pipe there are only the lines.

use crate::cli::paint::{ColorWhen, Paint, Tone, clean};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Longest moving line: it must not wrap, or it could not be redrawn.
const LONGEST: usize = 78;
const CLEAR_LINE: &str = "\r\x1b[2K";

/// Who speaks in a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Voice {
    /// The demo itself, as the narrator.
    Demo,
    /// What is done to the world.
    Fault,
    /// What the controller does.
    Muster,
    /// What the clients see.
    Clients,
    /// What the cloud does.
    Cloud,
    /// What kubectl prints.
    Kubectl,
}

impl Voice {
    const fn word(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Fault => "fault",
            Self::Muster => "muster",
            Self::Clients => "clients",
            Self::Cloud => "aws",
            Self::Kubectl => "kubectl",
        }
    }
    const fn tone(self) -> Tone {
        match self {
            Self::Demo | Self::Cloud | Self::Kubectl => Tone::Dim,
            Self::Fault => Tone::Bad,
            Self::Muster => Tone::Strong,
            Self::Clients => Tone::Good,
        }
    }
}

/// Prints the demo. Clones print to the same place.
#[derive(Clone, Debug)]
pub struct Timeline {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    start: Instant,
    live: bool,
    quiet: bool,
    paint: Paint,
    moving: Mutex<String>,
}

impl Timeline {
    /// Begins now, on standard output.
    #[allow(clippy::disallowed_methods)] // NO_COLOR is a setting of the terminal
    pub fn start() -> Self {
        let live = std::io::stdout().is_terminal();
        let no_color = std::env::var("NO_COLOR").is_ok_and(|v| !v.is_empty());
        let paint = Paint::choose(ColorWhen::Auto, no_color, live);
        Self::new(live, false, paint)
    }

    /// Tells nobody: for who wants the figures only.
    pub fn quiet() -> Self {
        Self::new(false, true, Paint::choose(ColorWhen::Never, true, false))
    }

    fn new(live: bool, quiet: bool, paint: Paint) -> Self {
        Self {
            inner: Arc::new(Inner { start: Instant::now(), live, quiet, paint, moving: Mutex::default() }),
        }
    }

    /// How to paint what goes with it.
    pub fn paint(&self) -> Paint {
        self.inner.paint
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.inner.start.elapsed()
    }

    fn moving(&self) -> MutexGuard<'_, String> {
        self.inner.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something that happened now.
    pub fn say(&self, voice: Voice, text: &str) {
        self.tell(voice, &clean(text));
    }

    /// As [`Self::say`], for text that is laid out and painted already.
    pub fn tell(&self, voice: Voice, text: &str) {
        let clock = self.inner.paint.dim(&format!("{:>6.1} s", self.elapsed().as_secs_f64()));
        let who = self.inner.paint.tone(voice.tone(), &format!("{:<7}", voice.word()));
        self.print(&format!("{clock}  {who}  {text}\n"));
    }

    /// Prints text as it is.
    pub fn print(&self, text: &str) {
        if self.inner.quiet {
            return;
        }
        let moving = self.moving();
        let mut out = String::new();
        if self.inner.live && !moving.is_empty() {
            out.push_str(CLEAR_LINE);
        }
        out.push_str(text);
        out.push_str(&moving);
        // A closed pipe is no reason to leave the world in the middle of its story.
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush());
    }

    /// Redraws the moving line several times a second, with what `text` says then. Ends when it is dropped.
    pub fn move_line(&self, text: impl Fn() -> String + Send + 'static) -> MovingLine {
        let timeline = self.clone();
        let task = self.inner.live.then(|| {
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    timeline.redraw(&text());
                }
            })
        });
        MovingLine { timeline: self.clone(), task }
    }

    fn redraw(&self, text: &str) {
        let mut line = String::new();
        let _ = write!(line, "{:>6.1} s  {text}", self.elapsed().as_secs_f64());
        let line: String = line.chars().take(LONGEST).collect();
        *self.moving() = String::new();
        let shown = self.inner.paint.dim(&line);
        self.print(&format!("{CLEAR_LINE}{shown}"));
        *self.moving() = shown;
    }
}

/// The moving line; dropping it removes it.
#[derive(Debug)]
pub struct MovingLine {
    timeline: Timeline,
    task: Option<JoinHandle<()>>,
}

impl Drop for MovingLine {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            self.timeline.moving().clear();
            self.timeline.print(CLEAR_LINE);
        }
    }
}
