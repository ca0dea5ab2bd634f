//! What must hold for any bytes at all: one function a parser, driven by `fuzz/` for minutes and by the tests for a
//! moment.
//!
//! Not for users: built for tests and with the feature `fuzzing` only.
#![allow(clippy::unwrap_used, reason = "a broken promise is reported by panicking")]

mod cursors;
mod days;
mod draw;
mod folders;
mod journals;
mod lines;
#[cfg(test)]
mod loops;
mod memory;
mod queries;
mod seeds;

pub use seeds::seeds;

/// What is done with some bytes; it panics where a promise is broken.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 6] = [
    ("line", lines::line),
    ("day", days::day),
    ("journal", journals::journal),
    ("folder", folders::folder),
    ("query", queries::query),
    ("cursor", cursors::cursor),
];
