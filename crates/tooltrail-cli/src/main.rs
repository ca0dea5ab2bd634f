//! The command-line program: parses the arguments, runs the command and sets the exit code.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod account;
mod agents;
mod client;
mod clock;
mod commands;
mod demo;
mod export;
mod failure;
mod hook;
mod http;
mod import;
mod key_exposure;
mod listen_address;
mod log;
mod mcp;
mod mcp_server;
mod output;
mod private_folder;
mod query_help;
mod question;
mod regular_file;
mod remote;
mod service;
mod settings;
mod spool;
mod tokens;
mod transcripts;
mod typos;
mod web;

use std::process::ExitCode;

use crate::commands::Cli;
use crate::failure::Exit;

fn main() -> ExitCode {
    if let Some(args) = commands::hook_args() {
        hook::run(args);
        return ExitCode::SUCCESS;
    }
    if commands::asks_about_queries() {
        let printed = output::print_paged(query_help::TEXT);
        return printed.map_or_else(output::report, |()| Exit::Yes.into());
    }
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(refused) => {
            // A closed pipe while printing the help is not a failure.
            let _ = refused.print();
            if let Some(hint) = commands::hint_for(&refused) {
                output::talk_hint(hint);
            }
            return if refused.use_stderr() { Exit::CouldNot.into() } else { Exit::Yes.into() };
        }
    };
    output::choose_colour(cli.flags.color);
    if !cli.starts_a_server() {
        lift_open_files();
    }
    match cli.run() {
        Ok(code) => code,
        Err(failure) => output::report(failure),
    }
}

/// Wanted limit of open files. The recorder keeps some thousand day files open between batches, so the usual limit of
/// 1,024 is low.
const OPEN_FILES: u64 = 16_384;

/// Raises the limit of open files to [`OPEN_FILES`], or as far as the system allows. With a lower limit, everything
/// works, but a little slower.
fn lift_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|now| now < wanted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}
