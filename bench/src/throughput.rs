//! How many calls a second reach the disk from one caller.

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use tooltrail::Recorder;

use crate::Answer;
use crate::calls::load;
use crate::rival::Rival;

/// Calls after which we flush, as `record` would rather shed than let a caller wait for a full queue.
const CHUNK: usize = 10_000;

/// Measures one contestant: from the first call until the last is in its file, when all files are there already.
///
/// A user's first call of the day makes the file, which costs everybody the same and some hundred times an append.
/// Ours are synced too, as `flush` promises it; the rival's and the seed's are only written.
pub(crate) fn measure(who: &str, calls: &Path, count: usize, dir: &Path) -> Answer {
    let calls = load(calls, count)?;
    let (start, busy);
    match who {
        "tooltrail" => {
            let recorder = Recorder::open(dir)?;
            let mut users = HashSet::new();
            calls.iter().filter(|call| users.insert(&call.user)).for_each(|call| recorder.record(call));
            recorder.flush()?;
            (start, busy) = (Instant::now(), processor_seconds());
            for chunk in calls.chunks(CHUNK) {
                chunk.iter().for_each(|call| recorder.record(call));
                recorder.flush()?;
            }
        }
        "appender" => {
            let rival = Rival::start(dir)?;
            (start, busy) = (Instant::now(), processor_seconds());
            calls.iter().for_each(|call| rival.log(call));
            rival.wait(calls.len() as u64);
        }
        other => return Err(format!("{other}: no such contestant").into()),
    }
    let seconds = start.elapsed().as_secs_f64();
    let busy = processor_seconds().zip(busy).map(|(after, before)| (after - before) * 1e6 / calls.len() as f64);
    Ok(json!({ "per_s": calls.len() as f64 / seconds, "busy_us": busy, "calls": calls.len() }))
}

/// Processor time of all threads so far, in the program and in the system.
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything, stand 11 fields, then both times in hundredths of a second.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}
