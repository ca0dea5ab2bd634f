//! The real binary, run as people and programs run it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::print_stdout, reason = "a test tells what it measured")]

mod cli;
mod help;
mod import;
mod import_crowd;
mod import_cut;
mod import_size;
mod reading;
mod seed;
mod stats;
mod support;
mod terminal;
