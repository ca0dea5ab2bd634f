//! Homes to be read: recorded by the library itself, so that what is read is what it writes.

use std::path::Path;
use std::time::Instant;

use serde_json::json;
use tooltrail::{Clock, Recorder, SystemClock, Timestamp};

use crate::Answer;
use crate::calls::load;

/// Calls that are repeated to fill a home.
const DISTINCT: usize = 100_000;

/// Calls between two flushes, well below what the queue holds.
const CHUNK: usize = 8_000;

const DAY_MS: i64 = 86_400_000;

/// Records so many entries for each user, all of yesterday, evenly spread; user after user.
pub(crate) fn record(dir: &Path, calls: &Path, users: usize, each: usize) -> Answer {
    let mut calls = load(calls, DISTINCT)?;
    let recorder = Recorder::open(dir)?;
    let yesterday = SystemClock::default().now().date().plus_days(-1).start().as_millis();
    let (start, known) = (Instant::now(), calls.len());
    for n in 0..users * each {
        let (user, k) = (n / each, n % each);
        let ms = DAY_MS * (k * users + user) as i64 / (users * each) as i64;
        let call = &mut calls[n % known];
        call.user = format!("user{user:04}");
        call.ts = Some(Timestamp::from_millis(yesterday + ms));
        recorder.record(call);
        if n % CHUNK == CHUNK - 1 {
            recorder.flush()?;
        }
    }
    recorder.close()?;
    Ok(json!({ "entries": users * each, "seconds": start.elapsed().as_secs_f64() }))
}
