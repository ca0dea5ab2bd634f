//! The measuring program of `bench/run`: each process measures one contestant in one case, and each answer is one JSON
//! object.

mod caller;
mod calls;
mod durable;
mod home;
mod mcp;
mod memory;
mod paced;
mod read;
mod recovery;
mod rollups;
mod rival;
mod stages;
mod stores;
mod tasks;
mod throughput;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// The answer of a case: names and numbers.
type Answer = Result<serde_json::Value, Box<dyn Error>>;

const USAGE: &str = "usage (bench/run calls these):
  tooltrail-bench calls FILE COUNT [TRACES]           writes calls: of the generator, or of real traces repeated
  tooltrail-bench home DIR CALLS USERS PER_USER       records USERS x PER_USER entries of yesterday
  tooltrail-bench caller WHO CALLS COUNT THREADS DIR  nanoseconds that the caller of one call waits
  tooltrail-bench throughput WHO CALLS COUNT DIR      calls per second until they are on disk
  tooltrail-bench recent DIR USER LIMIT QUERY TIMES   milliseconds of Trail::recent; USER '*' is everybody
  tooltrail-bench paced WHO CALLS SECONDS MARKED DIR  nanoseconds of a call of one of 64 callers; MARKED is true or false
  tooltrail-bench durable MODE CALLS SECONDS DIR      acknowledged entries per second; MODE is grouped or strict
  tooltrail-bench alone CALLS SECONDS DIR             microseconds of one caller's acknowledgement and of bare syncs
  tooltrail-bench store WHO CALLS SECONDS DIR         rows per second of a store, a thousand to a transaction
  tooltrail-bench memory CALLS SECONDS DIR            memory of the recorder while it is offered too much
  tooltrail-bench stages CALLS COUNT ROUNDS           nanoseconds of each step between queue and line
  tooltrail-bench mcp-echo                            an MCP server that answers at once
  tooltrail-bench mcp CALLS IN_FLIGHT COMMAND…        microseconds of a call of an MCP server, and calls per second
  tooltrail-bench mcp-first COMMAND…                  milliseconds until a server's first answer
  tooltrail-bench mcp-memory BYTES COMMAND…           KiB of a command that is idle, and while a large answer passes
  tooltrail-bench rollups DIR                         seconds to count all day files of a home that has no rollups
  tooltrail-bench ask stats|hours DIR QUERY DAYS TIMES  milliseconds of statistics, or of a series by hour
  tooltrail-bench recovery CALLS DIR SEGMENTS keep|lose  seconds to open a home that killed writers left
WHO is tooltrail, a rival's name, and for caller also moved (the call is given away) and clock.";

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
        ["mcp-echo"] => mcp::echo(),
        ["mcp", calls, in_flight, ref command @ ..] => mcp::measure(calls.parse()?, in_flight.parse()?, command),
        ["mcp-first", ref command @ ..] => mcp::first(command),
        ["mcp-memory", bytes, ref command @ ..] => mcp::memory(bytes.parse()?, command),
        ["stages", calls, count, rounds] => stages::measure(Path::new(calls), count.parse()?, rounds.parse()?),
        ["recent", dir, user, limit, query, times] => {
            read::measure(Path::new(dir), user, limit.parse()?, query, times.parse()?)
        }
        ["paced", who, calls, seconds, marked, dir] => {
            paced::measure(who, Path::new(calls), seconds.parse()?, marked.parse()?, Path::new(dir))
        }
        ["durable", mode, calls, seconds, dir] => {
            durable::measure(mode, Path::new(calls), seconds.parse()?, Path::new(dir))
        }
        ["alone", calls, seconds, dir] => durable::alone(Path::new(calls), seconds.parse()?, Path::new(dir)),
        ["store", who, calls, seconds, dir] => stores::measure(who, Path::new(calls), seconds.parse()?, Path::new(dir)),
        ["memory", calls, seconds, dir] => memory::measure(Path::new(calls), seconds.parse()?, Path::new(dir)),
        ["recovery", calls, dir, segments, keep @ ("keep" | "lose")] => {
            recovery::measure(Path::new(calls), Path::new(dir), segments.parse()?, keep == "keep")
        }
        ["rollups", dir] => rollups::make(Path::new(dir)),
        ["ask", what, dir, query, days, times] => {
            rollups::ask(what, Path::new(dir), query, days.parse()?, times.parse()?)
        }
        ["recovery-fill", calls, dir] => recovery::fill(Path::new(calls), Path::new(dir)),
        _ => Err(USAGE.into()),
    }
}
