//! Durable acknowledgements a second from 64 callers, beside the bare sync that they wait for.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tooltrail::Recorder;

use crate::Answer;
use crate::calls::load;

/// Callers at once.
const CALLERS: usize = 64;

/// Distinct calls that they record.
const DISTINCT: usize = 10_000;

/// Bytes that the bare sync appends each time.
const BLOCK: usize = 4_096;

/// Measures one contestant for so many seconds.
pub(crate) fn measure(who: &str, calls: &Path, seconds: f64, dir: &Path) -> Answer {
    let longest = Duration::from_secs_f64(seconds);
    let start = Instant::now();
    let mut took = match who {
        "tooltrail" => acknowledged(calls, longest, dir)?,
        "fdatasync" => {
            let mut file = File::create(dir.join("bare"))?;
            let mut took = Vec::new();
            while start.elapsed() < longest {
                let began = Instant::now();
                file.write_all(&[b'x'; BLOCK])?;
                file.sync_data()?;
                took.push(began.elapsed());
            }
            took
        }
        other => return Err(format!("{other}: no such contestant").into()),
    };
    let seconds = start.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |part: usize| took.get((took.len().saturating_sub(1)) * part / 1_000).map(Duration::as_micros);
    Ok(json!({ "per_s": took.len() as f64 / seconds, "p50_us": at(500), "p99_us": at(990) }))
}

/// How long each acknowledgement took, one call at a time from each caller.
fn acknowledged(calls: &Path, longest: Duration, dir: &Path) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let calls = load(calls, DISTINCT)?;
    let recorder = Recorder::open(dir)?;
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let caller = || {
        let mut took = Vec::new();
        while start.elapsed() < longest {
            let call = calls[next.fetch_add(1, Ordering::Relaxed) % calls.len()].clone();
            let began = Instant::now();
            recorder.record_durable(vec![call]).and_then(tooltrail::Ack::wait)?;
            took.push(began.elapsed());
        }
        Ok::<_, tooltrail::Error>(took)
    };
    let all = std::thread::scope(|scope| {
        let callers = (0..CALLERS).map(|_| scope.spawn(caller)).collect::<Vec<_>>();
        callers.into_iter().map(|caller| caller.join().expect("no caller panics")).collect::<Result<Vec<_>, _>>()
    })?;
    recorder.close()?;
    Ok(all.concat())
}
