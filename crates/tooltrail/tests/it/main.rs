//! Tests of the library's public API.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::print_stderr, reason = "a test says what it measured or skipped")]

mod batch_order;
mod dice;
mod durability_by_tool;
mod exporting;
mod fair_batches;
mod filter;
mod following;
mod foreign_processes;
mod histories;
mod late_lines;
mod layers;
mod linear;
mod many_writers;
mod open_calls;
mod over_time;
mod proof_vectors;
mod prune_ends;
mod pruning;
mod reading;
mod recording;
mod redaction;
mod replaced_files;
mod rollups;
mod sealed_ends;
mod sealed_world;
mod session_calls;
mod sim_disk;
mod tampered_lines;
mod tampering;
mod torn_ends;
mod unusual_files;
mod witness_ends;
