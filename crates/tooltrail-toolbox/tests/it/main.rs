//! Tests of the toolbox's public API; every case reads the entries from the day files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

// Helpers of all tests.
mod support;
mod typed_arguments;

// Tests with one call.
mod dispatch;
mod durability;
mod gate;
mod names;

// The included tools.
mod audit;
mod file_read;
mod panics_and_timeouts;

// Tests with many calls.
mod cancellation;
mod concurrency;
