//! How long a home takes to open when killed writers left full segments of the journal.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use tooltrail::Recorder;

use crate::Answer;
use crate::calls::load;

/// Distinct calls that a segment is filled with: more than one holds.
const DISTINCT: usize = 40_000;

/// Bytes of lines that nearly fill a segment of 16 MiB with what is around them.
const FILL_BYTES: u64 = 14 * 1024 * 1024;

/// Calls that are acknowledged at once.
const CHUNK: usize = 1_000;

/// Has so many writers killed, each with a full segment, and measures the opening: with `keep` their lines stand in
/// their day files, as after a kill, else none does.
pub(crate) fn measure(calls: &Path, dir: &Path, segments: usize, keep: bool) -> Answer {
    let (journal, aside) = (dir.join(".tooltrail/journal"), dir.join("aside"));
    fs::create_dir_all(&aside)?;
    let mut entries = 0;
    for n in 0..segments {
        let me = std::env::current_exe()?;
        Command::new(me).arg("recovery-fill").args([calls, dir]).status()?;
        // Out of the way, or the next writer recovers it.
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

/// Fills a segment and ends at once, as a killed writer does.
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
