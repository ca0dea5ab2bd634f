//! The real binary, run as people and programs run it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::print_stderr, reason = "a test says what it measured or skipped")]

mod cli;
mod import;
mod licences;
mod support;
mod tail;
mod traces;
