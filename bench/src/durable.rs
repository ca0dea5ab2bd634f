//! Measures acknowledgements: their rate with many callers, their latency, and the cost of a plain sync for comparison.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tooltrail::{Ack, Call, Open, Outcome, Recorder};

use crate::Answer;
use crate::calls::load;
use crate::tasks::{Step, Task, run};

/// The number of concurrent callers, each a task.
const CALLERS: usize = 1_000;

/// The number of users of the callers.
const USERS: usize = 100;

/// The number of threads that run the tasks.
const THREADS: usize = 2;

/// The number of distinct calls, which are repeated.
const DISTINCT: usize = 10_000;

/// The number of bytes written before each plain sync.
const BLOCK: usize = 4_096;

/// The number of acknowledgements, and of plain syncs, that are measured in a row before the other is measured.
const TURN: usize = 20;

/// The size in bytes of the file that the plain sync overwrites.
const OVERWRITTEN: u64 = 1024 * 1024;

/// Measures one durability mode of the recorder for `seconds` seconds, with all callers at once.
pub(crate) fn measure(mode: &str, calls: &Path, seconds: f64, dir: &Path) -> Answer {
    let longest = Duration::from_secs_f64(seconds);
    let mut calls = load(calls, DISTINCT)?;
    for (n, call) in calls.iter_mut().enumerate() {
        call.user = format!("user{:02}", n % USERS);
    }
    let recorder = Recorder::open(dir)?;
    // The first call of a day creates the user's day file.
    calls.iter().take(USERS).for_each(|call| recorder.record(call));
    recorder.flush()?;
    let before = recorder.counters().written_entries;
    let start = Instant::now();
    let until = start + longest;
    let mut took = match mode {
        "grouped" => {
            run(CALLERS, THREADS, |n| Grouped { recorder: &recorder, calls: &calls, next: n, until, began: None })?
        }
        "strict" => {
            run(CALLERS, THREADS, |n| Strict { recorder: &recorder, calls: &calls, next: n, until, under_way: None })?
        }
        other => return Err(format!("{other}: no such mode").into()),
    };
    let acknowledged = start.elapsed().as_secs_f64();
    // The day files are written after the journal, so this waits until they are durable too.
    recorder.flush()?;
    let followed = start.elapsed().as_secs_f64();
    let entries = recorder.counters().written_entries - before;
    recorder.close()?;
    took.sort_unstable();
    let at = |part: usize| took.get((took.len().saturating_sub(1)) * part / 1_000).map(Duration::as_micros);
    Ok(json!({
        "per_s": took.len() as f64 / acknowledged,
        "p50_us": at(500),
        "p99_us": at(990),
        "day_files_per_s": entries as f64 / followed,
    }))
}

/// A caller that records each call and awaits its acknowledgement.
struct Grouped<'a> {
    recorder: &'a Recorder,
    calls: &'a [Call],
    next: usize,
    until: Instant,
    began: Option<Instant>,
}

impl Task for Grouped<'_> {
    type Error = tooltrail::Error;

    fn step(&mut self) -> Result<Step, Self::Error> {
        let done = self.began.take().map(|began| began.elapsed());
        if Instant::now() >= self.until {
            return Ok(Step { done, ack: None });
        }
        let call = self.calls[self.next % self.calls.len()].clone();
        self.next += CALLERS;
        self.began = Some(Instant::now());
        Ok(Step { done, ack: Some(self.recorder.record_durable(vec![call])?) })
    }
}

/// A caller that notes the start of each call and awaits the acknowledgement, then records the outcome and awaits its
/// acknowledgement.
struct Strict<'a> {
    recorder: &'a Recorder,
    calls: &'a [Call],
    next: usize,
    until: Instant,
    under_way: Option<(Instant, Option<(Open<'a>, Outcome)>)>,
}

impl Task for Strict<'_> {
    type Error = tooltrail::Error;

    fn step(&mut self) -> Result<Step, Self::Error> {
        let done = match self.under_way.take() {
            Some((began, Some((open, outcome)))) => {
                // At this point the tool has run.
                let ack = open.finish(outcome)?;
                self.under_way = Some((began, None));
                return Ok(Step { done: None, ack: Some(ack) });
            }
            Some((began, None)) => Some(began.elapsed()),
            None => None,
        };
        if Instant::now() >= self.until {
            return Ok(Step { done, ack: None });
        }
        let mut call = self.calls[self.next % self.calls.len()].clone();
        self.next += CALLERS;
        let outcome = call.outcome.take().unwrap_or_default();
        let began = Instant::now();
        let (open, ack) = self.recorder.begin_durable(call)?;
        self.under_way = Some((began, Some((open, outcome))));
        Ok(Step { done, ack: Some(ack) })
    }
}

/// Measures a single caller, in turn with plain syncs of 4 KiB to a growing file and to a file that is overwritten.
pub(crate) fn alone(calls: &Path, seconds: f64, dir: &Path) -> Answer {
    let calls = load(calls, DISTINCT)?;
    let recorder = Recorder::open(dir)?;
    let mut growing = File::create(dir.join("growing"))?;
    let mut overwritten = File::create(dir.join("overwritten"))?;
    overwritten.write_all(&vec![0; OVERWRITTEN as usize])?;
    overwritten.sync_all()?;
    let user = |call: &Call| {
        let mut call = call.clone();
        "user00".clone_into(&mut call.user);
        call
    };
    recorder.record_durable(vec![user(&calls[0])]).and_then(Ack::wait)?;
    let (mut ours, mut grown, mut over) = (Vec::new(), Vec::new(), Vec::new());
    let block = [b'x'; BLOCK];
    let start = Instant::now();
    let mut next = 0;
    while start.elapsed().as_secs_f64() < seconds {
        for _ in 0..TURN {
            let call = user(&calls[next % calls.len()]);
            next += 1;
            let began = Instant::now();
            recorder.record_durable(vec![call]).and_then(Ack::wait)?;
            ours.push(began.elapsed());
        }
        for _ in 0..TURN {
            let began = Instant::now();
            growing.write_all(&block)?;
            growing.sync_data()?;
            grown.push(began.elapsed());
        }
        for _ in 0..TURN {
            if overwritten.stream_position()? >= OVERWRITTEN {
                overwritten.seek(SeekFrom::Start(0))?;
            }
            let began = Instant::now();
            overwritten.write_all(&block)?;
            overwritten.sync_data()?;
            over.push(began.elapsed());
        }
    }
    recorder.close()?;
    let median = |took: &mut Vec<Duration>| {
        took.sort_unstable();
        took[took.len() / 2].as_nanos() as f64 / 1e3
    };
    let (ours, grown, over) = (median(&mut ours), median(&mut grown), median(&mut over));
    Ok(json!({ "p50_us": ours, "growing_us": grown, "overwritten_us": over, "against_growing": ours / grown,
        "against_overwritten": ours / over }))
}
