//! The audit trail of AI agents' tool calls: record, read and summarise them.
//!
//! A [`Recorder`] writes each [`Call`] as one line of JSON into a plain file per user per day; a [`Trail`] answers
//! a [`Question`] about those files. The library has no async runtime, no HTTP, prints nothing and reads no
//! environment variable.
//!
//! The folders show the flow: `call` → `redact` → `clip` → `entry` → `day` on the way in, `day` → `query` → `read`
//! and `stats` on the way back; `disk` is the only access to the operating system.
//!
//! ```
//! use tooltrail::{Call, Outcome, Question, Recorder, Trail};
//!
//! # let folder = tempfile::tempdir()?;
//! # let home = folder.path();
//! let recorder = Recorder::open(home)?; // one per process; threads share it
//! recorder.record(&Call::new("alice", "fs.read", r#"{"path":"notes.txt"}"#).ok("buy milk"));
//! let open = recorder.begin(Call::new("alice", "shell.run", r#"{"command":"ls"}"#));
//! open.finish(Outcome::error("exit 1"))?; // dropped without an outcome, the call is recorded as cancelled
//! recorder.close()?; // everything is in the day files, or the error says how much is not
//!
//! let page = Trail::open(home)?.recent(&Question::parse("user=alice last=1h")?)?;
//! assert_eq!(page.lines.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

// Plain data.
mod call;
mod clock;
mod error;
mod gate;
mod glob;
mod hex;
mod json;
mod limits;
mod random;

// The only access to the operating system.
pub mod disk;

// Where files live.
mod home;

// What is secret; how large a value may be.
mod clip;
mod redact;
mod retention;

// A call as one line.
pub mod entry;

// One day file.
mod day;

// The write-ahead file.
mod journal;

// A question, its grammar, and whether a line answers it.
mod query;

// How durable an entry must be, by tool.
mod durability;

// The way in, and the way back.
mod read;
mod record;

// Counts and quantiles.
mod stats;

// What must hold for any bytes.
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

pub use call::{Call, ClippedResult, DurationMs, EntryId, Identity, Outcome, Payload, Reason, Status, Via};
pub use clock::{Clock, Date, SystemClock, Timestamp, Zone};
pub use durability::{Durability, DurabilityPolicy};
pub use entry::StoredEntry;
pub use error::Error;
pub use gate::{Effect, Gate, GateRequest, Rule, Verdict, any_glob_matches};
pub use glob::glob_matches;
pub use hex::hex;
pub use home::{Home, SYSTEM_USER, UNKNOWN_USER, folder_of, has_own_trail, outside_folder, user_of};
#[doc(hidden)]
pub use query::check_filter;
pub use query::{Cursor, Query, Question};
pub use random::{Random, SystemRandom};
pub use read::{
    Arrived, Bound, Bounds, Cancel, Follow, Followed, GapWhy, Nothing, Page, Scanned, Skipped, Trail, UserSummary,
    UsersPage,
};
#[doc(hidden)]
pub use record::Steps;
pub use record::{
    Ack, Counters, DURABLE_WAIT, Event, Histogram, LossReason, Open, Options, Prepared, PrunedDay, Recorder,
    redaction_keys, would_prune,
};
pub use redact::{RULES_MAX, RedactionKey, RedactionRules, Redactor, VALUE_BYTES_MIN, VALUES_MAX};
pub use retention::{Limit, Retention};
pub use stats::{Quantiles, Stats, ToolStats};
