//! What a call costs between the queue and its finished line: nanoseconds of each step, on one thread.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tooltrail::Redactor;
use tooltrail::entry::steps::Taken;

use crate::Answer;
use crate::calls::load;

/// Calls that go through a step together: few enough to stay in the cache, as the writer's batches do.
const BATCH: usize = 64;

/// Measures each step over the same calls; the fastest of so many rounds counts.
pub(crate) fn measure(calls: &Path, count: usize, rounds: usize) -> Answer {
    let calls = load(calls, count)?;
    let redactor = Redactor::new(None);
    let taken = calls.iter().map(|call| Taken::of(call, &redactor)).collect::<Vec<_>>();
    let mut best = [Duration::MAX; 4];
    let mut bytes = 0;
    for round in 0..rounds {
        let mut took = [Duration::ZERO; 4];
        bytes = 0;
        for batch in taken.chunks(BATCH) {
            let whole = batch.to_vec();
            bytes += timed(&mut took[3], || whole.into_iter().map(|call| call.write(&redactor).len()).sum::<usize>());
            let batch = batch.to_vec();
            if round > 1 {
                continue;
            }
            let hidden = timed(&mut took[0], || batch.into_iter().map(|call| call.redact(&redactor)).collect::<Vec<_>>());
            let fitting = timed(&mut took[1], || hidden.into_iter().map(|call| call.clip()).collect::<Vec<_>>());
            timed(&mut took[2], || fitting.into_iter().map(|call| call.encode()).collect::<Vec<_>>());
        }
        best.iter_mut().zip(took).for_each(|(best, took)| *best = took.min(*best));
    }
    let each = |took: Duration| took.as_nanos() as f64 / calls.len() as f64;
    Ok(json!({
        "redact_ns": each(best[0]), "clip_ns": each(best[1]), "encode_ns": each(best[2]),
        "write_ns": each(best[3]), "stages_ns": each(best[..3].iter().sum()), "line_bytes": bytes / calls.len(), "calls": calls.len(),
    }))
}

fn timed<T>(took: &mut Duration, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = step();
    *took += start.elapsed();
    done
}
