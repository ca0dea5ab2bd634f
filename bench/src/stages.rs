//! Measures the cost of a call between the queue and its finished line: nanoseconds per step, on one thread.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tooltrail::Redactor;
use tooltrail::entry::steps::Taken;

use crate::Answer;
use crate::calls::load;

/// The number of calls that go through a step together: few enough to stay in the cache, like the writer's batches.
const BATCH: usize = 64;

/// The number of steps: the writer's normal way; the same without redaction; then redacting, clipping and encoding
/// separately, without shortcuts.
const STEPS: usize = 5;

/// Measures each step with the same calls. For each batch only the fastest round counts, so that other programs do not
/// influence the result.
pub(crate) fn measure(calls: &Path, count: usize, rounds: usize) -> Answer {
    let calls = load(calls, count)?;
    let (redactor, off) = (Redactor::new(None), Redactor::off());
    let taken = calls.iter().map(|call| Taken::of(call, &redactor)).collect::<Vec<_>>();
    let mut best = vec![[Duration::MAX; STEPS]; taken.len().div_ceil(BATCH)];
    let mut bytes = 0;
    for _ in 0..rounds {
        bytes = 0;
        for (best, batch) in best.iter_mut().zip(taken.chunks(BATCH)) {
            let (whole, open, batch) = (batch.to_vec(), batch.to_vec(), batch.to_vec());
            bytes += timed(&mut best[0], || whole.into_iter().map(|call| call.write(&redactor).len()).sum::<usize>());
            timed(&mut best[4], || open.into_iter().map(|call| call.write(&off).len()).sum::<usize>());
            let hidden =
                timed(&mut best[1], || batch.into_iter().map(|call| call.redact(&redactor)).collect::<Vec<_>>());
            let fitting = timed(&mut best[2], || hidden.into_iter().map(|call| call.clip()).collect::<Vec<_>>());
            timed(&mut best[3], || fitting.into_iter().map(|call| call.encode().len()).sum::<usize>());
        }
    }
    let all = |step: usize| best.iter().map(|best| best[step]).sum::<Duration>().as_nanos() as f64;
    let each = |step: usize| (all(step) / calls.len() as f64).round();
    Ok(json!({
        "write_ns": each(0), "write_off_ns": each(4), "redact_ns": each(1), "clip_ns": each(2), "encode_ns": each(3),
        "line_bytes": bytes / calls.len(), "calls": calls.len(),
    }))
}

fn timed<T>(best: &mut Duration, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = step();
    *best = start.elapsed().min(*best);
    done
}
