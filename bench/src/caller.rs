//! What recording costs the caller: nanoseconds of one call, from several threads at once.

use std::path::Path;
use std::sync::Barrier;
use std::time::Instant;

use serde_json::json;
use tooltrail::{Call, Recorder};

use crate::Answer;
use crate::calls::load;
use crate::rival::Rival;

/// Calls that all threads make together before the writer may catch up: a burst that fills nobody's queue, so that
/// nothing is shed.
const ROUND: usize = 8_000;

/// Calls that are repeated: a caller has just touched what it records, so it is in the cache.
const HOT: usize = 2_000;

/// Measures one contestant.
pub(crate) fn measure(who: &str, calls: &Path, count: usize, threads: usize, dir: &Path) -> Answer {
    let calls = load(calls, HOT)?;
    let mut took = match who {
        "tooltrail" => {
            let recorder = Recorder::open(dir)?;
            let log = |call: &Call| recorder.record(call);
            // A flush fails where anything was shed, and then the figures would be of something else.
            let took = rounds(&calls, count, threads, &log, &|_| recorder.flush().expect("nothing was shed"));
            recorder.close()?;
            took
        }
        "appender" => {
            let rival = Rival::start(dir)?;
            rounds(&calls, count, threads, &|call| rival.log(call), &|lines| rival.wait(lines))
        }
        "clock" => rounds(
            &calls,
            count,
            threads,
            &|call| {
                std::hint::black_box(call);
            },
            &|_| (),
        ),
        other => return Err(format!("{other}: no such contestant").into()),
    };
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 1_000];
    Ok(json!({ "p50_ns": at(500), "p99_ns": at(990), "calls": took.len() }))
}

/// Times each call; after each round `drain` waits for the writer. The first round warms up.
fn rounds(
    calls: &[Call],
    count: usize,
    threads: usize,
    log: &(dyn Fn(&Call) + Sync),
    drain: &(dyn Fn(u64) + Sync),
) -> Vec<u64> {
    let each = ROUND / threads;
    let rounds = count.div_ceil(each * threads) + 1;
    let barrier = Barrier::new(threads);
    let thread = |n: usize| {
        let mut took = Vec::with_capacity(each * rounds);
        let mut next = n * calls.len() / threads;
        for round in 0..rounds {
            barrier.wait();
            for _ in 0..each {
                let call = &calls[next % calls.len()];
                next += 1;
                let start = Instant::now();
                log(call);
                let nanoseconds = start.elapsed().as_nanos() as u64;
                if round > 0 {
                    took.push(nanoseconds);
                }
            }
            if barrier.wait().is_leader() {
                drain(((round + 1) * each * threads) as u64);
            }
        }
        took
    };
    std::thread::scope(|scope| {
        let threads = (0..threads).map(|n| scope.spawn(move || thread(n))).collect::<Vec<_>>();
        threads.into_iter().flat_map(|thread| thread.join().expect("no contestant panics")).collect()
    })
}
