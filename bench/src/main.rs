//! What `bench/run` measures with: one contestant of one case per process, one JSON object per answer.

mod caller;
mod calls;
mod durable;
mod home;
mod read;
mod recovery;
mod rival;
mod stages;
mod throughput;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// What a case answers: names and numbers.
type Answer = Result<serde_json::Value, Box<dyn Error>>;

const USAGE: &str = "usage (bench/run calls these):
  tooltrail-bench calls FILE COUNT [TRACES]           writes calls: of the generator, or of real traces repeated
  tooltrail-bench home DIR CALLS USERS PER_USER       records USERS x PER_USER entries of yesterday
  tooltrail-bench caller WHO CALLS COUNT THREADS DIR  nanoseconds that the caller of one call waits
  tooltrail-bench throughput WHO CALLS COUNT DIR      calls per second until they are on disk
  tooltrail-bench recent DIR USER LIMIT QUERY TIMES   milliseconds of Trail::recent; USER '*' is everybody
  tooltrail-bench stages CALLS COUNT ROUNDS           nanoseconds of each step between queue and line
  tooltrail-bench durable WHO CALLS SECONDS DIR       acknowledged entries per second, or bare syncs
  tooltrail-bench recovery CALLS DIR SEGMENTS keep|lose  seconds to open a home that killed writers left
WHO is tooltrail, appender, and for durable also fdatasync.";

fn main() -> ExitCode {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let args = args.iter().map(String::as_str).collect::<Vec<_>>();
    match run(&args) {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tooltrail-bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &[&str]) -> Answer {
    match *args {
        ["calls", file, count] => calls::write(Path::new(file), count.parse()?, None),
        ["calls", file, count, traces] => calls::write(Path::new(file), count.parse()?, Some(Path::new(traces))),
        ["home", dir, calls, users, each] => {
            home::record(Path::new(dir), Path::new(calls), users.parse()?, each.parse()?)
        }
        ["caller", who, calls, count, threads, dir] => {
            caller::measure(who, Path::new(calls), count.parse()?, threads.parse()?, Path::new(dir))
        }
        ["throughput", who, calls, count, dir] => {
            throughput::measure(who, Path::new(calls), count.parse()?, Path::new(dir))
        }
        ["stages", calls, count, rounds] => stages::measure(Path::new(calls), count.parse()?, rounds.parse()?),
        ["recent", dir, user, limit, query, times] => {
            read::measure(Path::new(dir), user, limit.parse()?, query, times.parse()?)
        }
        ["durable", who, calls, seconds, dir] => {
            durable::measure(who, Path::new(calls), seconds.parse()?, Path::new(dir))
        }
        ["recovery", calls, dir, segments, keep @ ("keep" | "lose")] => {
            recovery::measure(Path::new(calls), Path::new(dir), segments.parse()?, keep == "keep")
        }
        ["recovery-fill", calls, dir] => recovery::fill(Path::new(calls), Path::new(dir)),
        _ => Err(USAGE.into()),
    }
}
