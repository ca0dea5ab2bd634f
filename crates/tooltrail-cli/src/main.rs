//! The command line: parse, dispatch, exit code.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod clock;
mod commands;
mod demo;
mod failure;
mod http;
mod import;
mod key_exposure;
mod log;
mod output;
mod question;
mod service;
mod settings;
mod tokens;
mod typos;
mod web;

use std::process::ExitCode;

use crate::commands::Cli;
use crate::failure::Exit;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(refused) => {
            // Help that nobody reads to the end (a closed pipe) is no failure.
            let _ = refused.print();
            return if refused.use_stderr() { Exit::CouldNot.into() } else { Exit::Yes.into() };
        }
    };
    output::choose_colour(cli.flags.color);
    lift_open_files();
    match cli.run() {
        Ok(code) => code,
        Err(failure) => output::report(failure),
    }
}

/// Open files that we ask for: day files stay open between batches, some thousand of them; a shell's usual 1,024 are few.
const OPEN_FILES: u64 = 16_384;

/// Lifts the limit of open files as far as it may be lifted; with a lower one all works, a little slower.
fn lift_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|now| now < wanted) {
        let _as_it_was = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}
