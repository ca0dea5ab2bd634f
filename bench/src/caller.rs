//! Measures what recording costs the caller: nanoseconds per call, with several threads at once.

use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::json;
use tooltrail::{Call, Recorder};

use crate::Answer;
use crate::calls::{finished_lines, load};
use crate::rival;

/// Calls that all threads together make before the writer may catch up: a burst that fits the queue of every
/// contestant, so that no call is dropped.
const ROUND: usize = 8_000;

/// The number of distinct calls, which are repeated.
const HOT: usize = 2_000;

/// A call that was just made and is timed next, with its finished line.
///
/// Each call is a fresh copy, because a real caller has just built what it records, so that it is in the processor's
/// cache. Freeing the copy is not timed.
type Ready<'a> = (Call, &'a mut String);

/// Measures one contestant.
pub(crate) fn measure(who: &str, calls: &Path, count: usize, threads: usize, dir: &Path) -> Answer {
    let calls = load(calls, HOT)?;
    let lines = if rival::LINE_LOGGERS.contains(&who) {
        finished_lines(&calls, &dir.join("lines"))?
    } else {
        vec![String::new(); calls.len()]
    };
    let round = |time: &(dyn Fn(Ready<'_>) -> u64 + Sync), drain: &(dyn Fn(u64, u64) + Sync)| {
        rounds(&calls, &lines, count, threads, time, drain)
    };
    let mut took = match who {
        "tooltrail" | "moved" => {
            let recorder = Recorder::open(dir)?;
            let lent = |(call, _): Ready<'_>| timed(|| recorder.record(&call));
            let moved = |(call, _): Ready<'_>| timed(|| recorder.record_owned(call));
            // A flush fails if a call was dropped, because the measured times would then be wrong.
            let drain = |_, _| recorder.flush().expect("nothing was shed");
            let took = if who == "moved" { round(&moved, &drain) } else { round(&lent, &drain) };
            recorder.close()?;
            took
        }
        "clock" => round(&|ready| timed(|| std::hint::black_box(ready.0.args.len())), &|_, _| ()),
        rival => {
            let rival = rival::start(rival, dir)?;
            round(&|(call, line)| timed(|| rival.log(&call, line)), &|lines, bytes| rival.wait(lines, bytes))
        }
    };
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 1_000];
    Ok(json!({ "p50_ns": at(500), "p99_ns": at(990), "calls": took.len() }))
}

/// Returns the nanoseconds of one call, including the time to read the clock.
fn timed<T>(log: impl FnOnce() -> T) -> u64 {
    let start = Instant::now();
    std::hint::black_box(log());
    start.elapsed().as_nanos() as u64
}

/// Times each call; after each round, `drain` waits for the writer. The first round is only a warm-up.
fn rounds(
    calls: &[Call],
    lines: &[String],
    count: usize,
    threads: usize,
    time: &(dyn Fn(Ready<'_>) -> u64 + Sync),
    drain: &(dyn Fn(u64, u64) + Sync),
) -> Vec<u64> {
    let each = ROUND / threads;
    let rounds = count.div_ceil(each * threads) + 1;
    let barrier = Barrier::new(threads);
    let bytes = AtomicU64::new(0);
    let thread = |n: usize| {
        let mut took = Vec::with_capacity(each * rounds);
        let mut next = n * calls.len() / threads;
        let mut line = String::new();
        for round in 0..rounds {
            barrier.wait();
            let mut written = 0;
            for _ in 0..each {
                line.clone_from(&lines[next % lines.len()]);
                written += line.len() as u64 + 1;
                let nanoseconds = time((calls[next % calls.len()].clone(), &mut line));
                next += 1;
                if round > 0 {
                    took.push(nanoseconds);
                }
            }
            bytes.fetch_add(written, Ordering::Relaxed);
            if barrier.wait().is_leader() {
                drain(((round + 1) * each * threads) as u64, bytes.load(Ordering::Relaxed));
            }
        }
        took
    };
    std::thread::scope(|scope| {
        let threads = (0..threads).map(|n| scope.spawn(move || thread(n))).collect::<Vec<_>>();
        threads.into_iter().flat_map(|thread| thread.join().expect("no contestant panics")).collect()
    })
}
