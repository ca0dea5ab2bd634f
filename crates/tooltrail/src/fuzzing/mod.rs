//! Properties that must hold for any input bytes: one function per parser. The crate in `fuzz/` runs them for minutes,
//! the tests for a moment.
//!
//! Not part of the public API: compiled only for tests and with the feature `fuzzing`.
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
mod rollups;
mod seals;
mod seeds;

pub use seeds::seeds;

/// A function that tests some bytes; it panics if a property does not hold.
pub type Target = fn(&[u8]);

/// All targets with their names.
pub const TARGETS: [(&str, Target); 13] = [
    ("line", lines::line),
    ("day", days::day),
    ("journal", journals::journal),
    ("folder", folders::folder),
    ("query", queries::query),
    ("cursor", cursors::cursor),
    ("rollup", rollups::rollup),
    ("note", seals::note),
    ("checkpoint", seals::checkpoint),
    ("tile", seals::tile),
    ("record", seals::record),
    ("proof", seals::proof),
    ("request", seals::request),
];
