//! Measures the most memory that the recorder uses when it gets more calls than it can write.

use std::fs::{read_to_string, write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tooltrail::{LossReason, Recorder};

use crate::Answer;
use crate::calls::load;

/// The number of threads that record as fast as they can.
const THREADS: usize = 8;

/// The number of distinct calls, which are repeated.
const DISTINCT: usize = 20_000;

/// Measures for `seconds` seconds.
pub(crate) fn measure(calls: &Path, seconds: f64, dir: &Path) -> Answer {
    let calls = load(calls, DISTINCT)?;
    let recorder = Recorder::open(dir)?;
    calls.iter().take(100).for_each(|call| recorder.record(call));
    recorder.flush()?;
    // Resets the peak of the resident memory, so that it covers only what follows.
    write("/proc/self/clear_refs", "5")?;
    let before = status_kib("VmRSS:")?;
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let (calls, recorder) = (&calls, &recorder);
            scope.spawn(move || {
                let mut next = n * calls.len() / THREADS;
                while Instant::now() < until {
                    recorder.record(&calls[next % calls.len()]);
                    next += 1;
                }
            });
        }
    });
    let peak = status_kib("VmHWM:")?;
    let counters = recorder.counters();
    // Closing returns an error because calls were dropped.
    let _ = recorder.close();
    let shed = counters.lost_entries.get(&LossReason::QueueFull).copied().unwrap_or(0);
    Ok(json!({
        "grown_mib": peak.saturating_sub(before) / 1024,
        "before_mib": before / 1024,
        "shed": shed,
        "written": counters.written_entries,
    }))
}

/// Returns a value from this process's status, in KiB.
fn status_kib(name: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let status = read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.and_then(|line| line.split_whitespace().next()).ok_or("the system tells no memory")?.parse()?)
}
