//! Measures how long it takes to open a home in which killed writers left full journal segments.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use tooltrail::Recorder;

use crate::Answer;
use crate::calls::load;

/// The number of distinct calls to fill a segment with: more than one segment holds.
const DISTINCT: usize = 40_000;

/// The bytes of lines that, with their frames, nearly fill a segment of 16 MiB.
const FILL_BYTES: u64 = 14 * 1024 * 1024;

/// The number of calls that are acknowledged together.
const CHUNK: usize = 1_000;

/// Lets `segments` writers end as if killed, each with a full segment, and measures the opening of the home. With
/// `keep`, their lines are already in the day files, as after a kill; otherwise none are.
pub(crate) fn measure(calls: &Path, dir: &Path, segments: usize, keep: bool) -> Answer {
    let (journal, aside) = (dir.join(".tooltrail/journal"), dir.join("aside"));
    fs::create_dir_all(&aside)?;
    let mut entries = 0;
    for n in 0..segments {
        let me = std::env::current_exe()?;
        Command::new(me).arg("recovery-fill").args([calls, dir]).status()?;
        // Moves the segment away, so that the next writer does not recover it.
        for segment in fs::read_dir(&journal)?.map(Result::unwrap) {
            if segment.path().extension().is_some_and(|end| end == "segment") && segment.metadata()?.len() > 1 << 21 {
                fs::rename(segment.path(), aside.join(format!("{n:02}.segment")))?;
            }
        }
    }
    let users = fs::read_dir(dir)?.map(Result::unwrap).filter(|user| user.path().join("tool_audit").is_dir());
    for user in users.collect::<Vec<_>>() {
        for day in fs::read_dir(user.path().join("tool_audit"))?.map(Result::unwrap) {
            entries += fs::read_to_string(day.path())?.lines().count();
            if !keep {
                fs::write(day.path(), "")?;
            }
        }
    }
    for n in 0..segments {
        fs::rename(aside.join(format!("{n:02}.segment")), journal.join(format!("{n:02}.segment")))?;
    }
    let start = Instant::now();
    let recorder = Recorder::open(dir)?;
    let seconds = start.elapsed().as_secs_f64();
    recorder.close()?;
    Ok(json!({ "seconds": seconds, "entries": entries, "segments": segments }))
}

/// Fills a segment and exits immediately, like a killed writer.
pub(crate) fn fill(calls: &Path, dir: &Path) -> Answer {
    let calls = load(calls, DISTINCT)?;
    let recorder = Recorder::open(dir)?;
    for calls in calls.chunks(CHUNK) {
        recorder.record_durable(calls.to_vec())?.wait()?;
        if recorder.counters().written_bytes > FILL_BYTES {
            break;
        }
    }
    std::process::abort()
}
