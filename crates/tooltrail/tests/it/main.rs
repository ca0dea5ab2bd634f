//! The library as a user sees it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::print_stderr, reason = "a test says what it measured or skipped")]

mod around;
mod changed;
mod durability_by_tool;
mod fair_batches;
mod filter;
mod following;
mod held;
mod histories;
mod late;
mod layers;
mod linear;
mod odd;
mod open_calls;
mod prune_ends;
mod pruning;
mod reading;
mod recording;
mod redaction;
mod sim_disk;
