//! Tests of the toolbox's public API; every case reads the entries from the day files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

// Helpers of all tests.
#[path = "../../../tooltrail/tests/it/dice.rs"]
mod dice;
mod support;

// Tests with one call.
mod dispatch;
mod durability;
mod gate;
mod hostile_paths;
mod names;
mod typed_arguments;

// The included tools.
mod audit;
mod file_read;

// Tests with many calls.
mod cancellation;
mod concurrency;
