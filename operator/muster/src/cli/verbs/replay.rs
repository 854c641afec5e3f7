//! `muster replay`: frames from a file or from the server, one by one or all at once.

use super::super::args::ReplayArgs;
use super::super::client::ApiPath;
use super::super::context::Context;
use super::super::exit::{Code, Done, Failure};
use super::super::output::Format;
use super::super::view::replay::{Replayed, render, replay};
use super::super::words;
use crate::api::{Frame, FrameList};
use std::fmt::Write as _;
use std::io::{BufRead, Read};
use std::path::Path;

pub(super) async fn run(cx: &Context, args: &ReplayArgs) -> Done {
    let frames = load(cx, &args.source).await?;
    if frames.is_empty() {
        return Err(Failure::new(Code::NotFound, format!("{} holds no recorded decision", args.source)));
    }
    let count = words::count(frames.len(), "frame", "frames");
    if let Some(file) = &args.save {
        save(&frames, file)?;
        cx.screen.note(&format!("{count} written to {}", file.display()));
    }
    let table = args.output.output == Format::Table;
    let steps = cx.screen.terminal && cx.screen.can_ask && table && !args.all && !args.check;
    for (index, frame) in frames.iter().enumerate() {
        let replayed = replay(index, frame);
        show(cx, args, frame, &replayed, frames.len())?;
        if args.check && !replayed.differences.is_empty() {
            return Err(differs(&replayed, frames.len()));
        }
        if steps && index + 1 < frames.len() && !ask_for_more(cx)? {
            return Ok(());
        }
    }
    if args.check && table {
        cx.screen.print(&format!("{count}, each decided as recorded\n"))?;
    }
    Ok(())
}

/// `--check` shows only what differs; without it every frame is shown.
fn show(cx: &Context, args: &ReplayArgs, frame: &Frame, replayed: &Replayed, of: usize) -> Done {
    if args.check && replayed.differences.is_empty() {
        return Ok(());
    }
    let text = || format!("{}\n", render(frame, replayed, of, &cx.look()));
    cx.screen.emit_one(args.output.output, replayed, text)
}

fn differs(replayed: &Replayed, of: usize) -> Failure {
    let first = replayed.differences.first().map_or("", |d| d.path.as_str());
    let frame = replayed.frame;
    Failure::failed(format!(
        "frame {frame} of {of} is decided otherwise than it was recorded, first at {first}"
    ))
    .fix("This version of Muster decides otherwise, or the file was changed.")
}

fn ask_for_more(cx: &Context) -> Done<bool> {
    cx.screen.note(&cx.screen.note_paint.dim("Enter: next   q: quit"));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    let read = read.map_err(|e| Failure::failed(format!("cannot read the answer: {e}")))?;
    Ok(read > 0 && !line.trim().eq_ignore_ascii_case("q"))
}

/// A file if there is one of that name, else a run of the server.
async fn load(cx: &Context, source: &str) -> Done<Vec<Frame>> {
    if source == "-" {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .read_to_string(&mut text)
            .map_err(|e| Failure::failed(format!("cannot read standard input: {e}")))?;
        return parse(&text, "standard input");
    }
    let path = Path::new(source);
    if path.is_file() {
        let text = std::fs::read_to_string(path).map_err(|e| Failure::reading(path, &e))?;
        return parse(&text, source);
    }
    if source.contains('/') || path.extension().is_some() {
        return Err(Failure::new(Code::NotFound, format!("there is no file {source}")));
    }
    let list: FrameList = cx.client().await?.get(ApiPath::new(["runs", source, "frames"])).await?;
    Ok(list.frames)
}

/// A JSON object a line; a whole `FrameList` is taken too.
fn parse(text: &str, place: &str) -> Done<Vec<Frame>> {
    let wrong = |line: usize, e: &serde_json::Error| {
        Failure::failed(format!("{place}, line {line}: not a recorded decision of this version: {e}"))
    };
    if let Ok(list) = serde_json::from_str::<FrameList>(text) {
        return Ok(list.frames);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| serde_json::from_str(line).map_err(|e| wrong(index + 1, &e))).collect()
}

fn save(frames: &[Frame], file: &Path) -> Done {
    let mut text = String::new();
    for frame in frames {
        let line = serde_json::to_string(frame)
            .map_err(|e| Failure::failed(format!("cannot write a frame as JSON: {e}")))?;
        let _ = writeln!(text, "{line}");
    }
    std::fs::write(file, text).map_err(|e| Failure::failed(format!("cannot write {}: {e}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::super::super::view::sample;
    use super::*;

    #[test]
    fn saved_frames_are_read_back_equal() {
        let frames = vec![sample::frame(), sample::frame()];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.jsonl");
        save(&frames, &file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert_eq!(parse(&text, "run.jsonl").unwrap(), frames);
        let whole = serde_json::to_string_pretty(&FrameList { frames: frames.clone() }).unwrap();
        assert_eq!(parse(&whole, "run.json").unwrap(), frames);
    }

    #[test]
    fn a_broken_line_is_named() {
        let failure = parse("\n{\"at\": 1}\n", "run.jsonl").unwrap_err();
        assert!(failure.what.starts_with("run.jsonl, line 2: not a recorded decision"), "{failure}");
    }
}
