//! Measures how many calls per second one caller gets to the disk.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tooltrail::{Call, Clock as _, Options, Recorder, SealStatus, SystemClock, Timestamp};

use crate::Answer;
use crate::calls::{finished_lines, load};
use crate::rival;

/// The limit of waiting entries and bytes while the caller records. `record` drops calls when the queue is full instead
/// of waiting, so the caller must stay below the queue's limits.
const QUEUED_MAX: (u64, u64) = (30_000, 40 << 20);

/// The number of calls between two checks of the queue.
const CHUNK: usize = 500;

/// How often a `steady` contestant records the calls, after a first time that is not measured: long enough for several
/// rounds of sealing.
const STEADY_PASSES: usize = 4;

/// Measures one contestant from the first call until the last line is in its file. All files exist before.
///
/// The first call of a user on a day creates the file, which costs all contestants the same and about a hundred times
/// as much as an append. All lines must be written, but no contestant has to sync them.
pub(crate) fn measure(who: &str, calls: &Path, count: usize, dir: &Path) -> Answer {
    let calls = load(calls, count)?;
    let (start, busy);
    match who {
        "tooltrail" | "not redacted" | "steady" | "steady sealed" => {
            let mut options = Options::new(dir.join("home"));
            if who == "steady sealed" {
                options.keys = Some(dir.join("keys"));
            }
            let recorder =
                if who == "not redacted" { options.dangerously_unredacted().open()? } else { options.open()? };
            let mut users = HashSet::new();
            calls.iter().filter(|call| users.insert(&call.user)).for_each(|call| recorder.record(call));
            let mut passes = 1;
            if who.starts_with("steady") {
                // What is made once for each file, such as its cached leaves, is there afterwards.
                passes = STEADY_PASSES;
                record(&recorder, &calls);
                recorder.flush()?;
                let flushed = SystemClock::default().now();
                wait_until(|| who == "steady" || is_sealed(&recorder.seal_status(), flushed));
            }
            recorder.flush()?;
            let before = recorder.counters().written_entries;
            (start, busy) = (Instant::now(), processor_seconds());
            (0..passes).for_each(|_| record(&recorder, &calls));
            let all = calls.len() * passes;
            wait_until(|| recorder.counters().written_entries >= before + all as u64);
            let answer = answer(all, start, busy);
            recorder.close()?;
            return Ok(answer);
        }
        rival => {
            let lines = if rival::LINE_LOGGERS.contains(&rival) {
                finished_lines(&calls, &dir.join("lines"))?
            } else {
                vec![String::new(); calls.len()]
            };
            let bytes = lines.iter().map(|line| line.len() as u64 + 1).sum();
            let rival = rival::start(rival, dir)?;
            (start, busy) = (Instant::now(), processor_seconds());
            calls.iter().zip(&lines).for_each(|(call, line)| rival.log(call, line));
            rival.wait(calls.len() as u64, bytes);
        }
    }
    Ok(answer(calls.len(), start, busy))
}

/// Records the calls as fast as the queue takes them.
fn record(recorder: &Recorder, calls: &[Call]) {
    for chunk in calls.chunks(CHUNK) {
        chunk.iter().for_each(|call| recorder.record(call));
        wait_until(|| {
            let now = recorder.counters();
            now.queued_entries <= QUEUED_MAX.0 && now.queued_bytes <= QUEUED_MAX.1
        });
    }
}

/// Whether everything is sealed that was flushed at this time.
fn is_sealed(status: &SealStatus, flushed: Timestamp) -> bool {
    status.waiting_since.is_none() && status.sealed_at.is_some_and(|at| at > flushed)
}

fn answer(calls: usize, start: Instant, busy: Option<f64>) -> serde_json::Value {
    let seconds = start.elapsed().as_secs_f64();
    let busy = processor_seconds().zip(busy).map(|(after, before)| (after - before) * 1e6 / calls as f64);
    json!({ "per_s": calls as f64 / seconds, "busy_us": busy, "calls": calls })
}

fn wait_until(holds: impl Fn() -> bool) {
    while !holds() {
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Returns the processor time of all threads so far, in user mode and in the kernel.
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may contain any character, come 11 fields and then both times in hundredths of a second.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}
