//! Measures normal load: many callers, each with a call now and then, while the writer sleeps most of the time.

use std::fs::read_to_string;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tooltrail::{Call, Recorder};

use crate::Answer;
use crate::calls::{finished_lines, load};
use crate::rival;

/// The number of callers; each is a thread that sleeps between its calls.
const CALLERS: usize = 64;

/// The number of calls per second of all callers together.
const PER_SECOND: f64 = 20_000.0;

/// The same rate for a traced process, because tracing slows the writer by more than this factor.
const PER_SECOND_TRACED: f64 = PER_SECOND / 10.0;

/// The number of distinct calls, which are repeated.
const HOT: usize = 2_000;

/// The time after the last call until the writer is surely idle, because it flushes once a second.
const SETTLED: Duration = Duration::from_millis(3_000);

/// The time for which the idle writer is observed.
const IDLE: Duration = Duration::from_secs(2);

/// Measures one contestant for `seconds` seconds. With `marked`, each call is between two system calls that only mark
/// it, so that a trace of the process shows the system calls in between.
pub(crate) fn measure(who: &str, calls: &Path, seconds: f64, marked: bool, dir: &Path) -> Answer {
    let calls = load(calls, HOT)?;
    let lines = if rival::LINE_LOGGERS.contains(&who) {
        finished_lines(&calls, &dir.join("lines"))?
    } else {
        vec![String::new(); calls.len()]
    };
    let per_second = if marked { PER_SECOND_TRACED } else { PER_SECOND };
    let each = (per_second * seconds / CALLERS as f64) as usize;
    let mut idle = serde_json::Value::Null;
    let mut took = match who {
        "tooltrail" => {
            let recorder = Recorder::open(dir)?;
            // The first call of a day creates the user's day file, and wakes the writer.
            calls.iter().for_each(|call| recorder.record(call));
            recorder.flush()?;
            let took = callers(&calls, &lines, each, marked, &|call, _| recorder.record(call));
            // Fails if a call was dropped.
            recorder.flush()?;
            if !marked {
                std::thread::sleep(SETTLED);
                idle = asleep()?;
            }
            recorder.close()?;
            took
        }
        other => {
            let rival = rival::start(other, dir)?;
            calls.iter().zip(&lines).for_each(|(call, line)| rival.log(call, line));
            let took = callers(&calls, &lines, each, marked, &|call, line| rival.log(call, line));
            // Its threads do not need to finish their writes, because the output is not read and the process ends here.
            drop(rival);
            took
        }
    };
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 1_000];
    Ok(json!({ "p50_ns": at(500), "p99_ns": at(990), "calls": took.len(), "idle": idle }))
}

/// Lets every caller make its calls at their planned times; returns the nanoseconds of each call.
fn callers(
    calls: &[Call],
    lines: &[String],
    each: usize,
    marked: bool,
    log: &(dyn Fn(&Call, &str) + Sync),
) -> Vec<u64> {
    let gap = Duration::from_secs_f64(CALLERS as f64 / if marked { PER_SECOND_TRACED } else { PER_SECOND });
    let start = Instant::now() + Duration::from_millis(50);
    let caller = |n: usize| {
        let mut took = Vec::with_capacity(each);
        let first = start + gap.mul_f64(n as f64 / CALLERS as f64);
        for k in 0..each {
            let due = first + gap * k as u32;
            if let Some(wait) = due.checked_duration_since(Instant::now()) {
                std::thread::sleep(wait);
            }
            let at = (n * each + k) % calls.len();
            if marked {
                std::hint::black_box(std::os::unix::process::parent_id());
            }
            let begun = Instant::now();
            log(&calls[at], &lines[at]);
            took.push(begun.elapsed().as_nanos() as u64);
            if marked {
                std::hint::black_box(std::os::unix::process::parent_id());
            }
        }
        took
    };
    std::thread::scope(|scope| {
        let caller = &caller;
        let threads = (0..CALLERS).map(|n| {
            let thread = std::thread::Builder::new().name(format!("caller-{n}"));
            thread.spawn_scoped(scope, move || caller(n)).expect("the system has a thread to give")
        });
        let threads = threads.collect::<Vec<_>>();
        threads.into_iter().flat_map(|thread| thread.join().expect("no contestant panics")).collect()
    })
}

/// Returns how often the recorder's threads woke up, and for how long they ran, while no call was recorded.
fn asleep() -> io::Result<serde_json::Value> {
    let before = threads()?;
    std::thread::sleep(IDLE);
    let after = threads()?;
    let (switches, ticks) = (after.0 - before.0, after.1 - before.1);
    Ok(json!({ "switches": switches, "busy_ms": ticks * 10, "seconds": IDLE.as_secs_f64(), "threads": after.2 }))
}

/// Returns the context switches and the processor time (in hundredths of a second) of all recorder threads so far, and
/// the number of these threads.
fn threads() -> io::Result<(u64, u64, u64)> {
    let (mut switches, mut ticks, mut count) = (0, 0, 0);
    for entry in std::fs::read_dir("/proc/self/task")? {
        let task = entry?.path();
        // A thread may end between these reads.
        let (Ok(name), Ok(status), Ok(stat)) =
            (read_to_string(task.join("comm")), read_to_string(task.join("status")), read_to_string(task.join("stat")))
        else {
            continue;
        };
        if !name.starts_with("tooltrail-") || name.trim() == "tooltrail-bench" {
            continue;
        }
        count += 1;
        let counted = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        switches += counted.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>();
        // After the name, which may contain any character, come 11 fields and then both times.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
        ticks += fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    }
    Ok((switches, ticks, count))
}
