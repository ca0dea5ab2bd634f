//! The command line: parse, dispatch, exit code.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod commands;
mod common;
mod config;
mod demo;
mod doors;
mod failure;
mod http;
mod import;
mod live;
mod log;
mod neighbours;
mod output;
mod question;
mod tokens;
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
    output::choose_colour(cli.common.color);
    match cli.run() {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
