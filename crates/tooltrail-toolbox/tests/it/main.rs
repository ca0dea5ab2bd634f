//! The toolbox as a program uses it: every case read back from the day file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

// What every test stands on.
mod support;
mod typed_arguments;

// One call.
mod dispatch;
mod durability;
mod gate;
mod names;

// The tools that come along.
mod audit;
mod file_read;
mod panics_and_timeouts;

// Many calls.
mod cancellation;
mod concurrency;
