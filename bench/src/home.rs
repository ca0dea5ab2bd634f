//! Makes homes for the reading cases with the library's own recorder.

use std::path::Path;
use std::time::Instant;

use serde_json::json;
use tooltrail::{Clock, Recorder, SystemClock, Timestamp};

use crate::Answer;
use crate::calls::load;

/// The number of distinct calls, which are repeated to fill a home.
const DISTINCT: usize = 100_000;

/// The number of calls between two flushes; the queue holds many more.
const CHUNK: usize = 8_000;

const DAY_MS: i64 = 86_400_000;

/// Records `each` entries per user, evenly spread over all of yesterday, one user after another.
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
