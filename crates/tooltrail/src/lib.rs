//! An audit trail of AI agents' tool calls: the library records, reads and summarises them.
//!
//! A [`Recorder`] writes each [`Call`] as one line of JSON into a plain file per user and day. A [`Trail`] answers a
//! [`Question`] about these files. The library has no async runtime and no HTTP, prints nothing and reads no
//! environment variable.
//!
//! The folders follow the data flow: `call` → `redact` → `clip` → `entry` → `day` when recording, and `day` → `query` →
//! `read` and `stats` when reading. Only `disk` accesses the file system.
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
mod grown_files;
mod hex;
mod json;
mod limits;
mod random;

// The only access to the operating system.
pub mod disk;

// The location of the files, the list of those that have grown, and the ids of what was erased.
mod changes;
mod erased_ids;
mod home;
mod rollup_files;

// Redaction of secrets, and limits on the size of values.
mod clip;
mod redact;
mod retention;

// The format of a line.
pub mod entry;

// One day file.
mod day;

// The write-ahead journal.
mod journal;

// Questions: their grammar, and whether a line matches.
mod query;

// The durability of entries, chosen per tool.
mod durability;

// The calls of day files, counted once.
mod rollup;

// Reading and recording.
mod read;
mod record;

// The proof: hash trees, the signed log, and its verification.
pub mod seal;

// Counts and quantiles.
mod stats;

// Opening a recorder with all that works beside it.
mod opening;

// Properties that must hold for any input bytes.
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
pub use query::{Cursor, FirstKind, Query, Question};
pub use random::{Random, SystemRandom};
pub use read::{
    Arrived, Bound, Bounds, Cancel, Export, ExportOrder, ExportPage, Exported, Follow, Followed, GapWhy, Nothing, Page,
    Scanned, Skipped, Trail, UserSummary, UsersPage,
};
#[doc(hidden)]
pub use record::Steps;
pub use record::{
    Ack, CallKey, CallState, Counters, DURABLE_WAIT, Ended, Event, Finished, Histogram, LossReason, Open, OpenCalls,
    Options, Prepared, PrunedDay, Recorder, SealStatus, SessionCall, SessionRecorder, redaction_keys, would_prune,
};
pub use redact::{RULES_MAX, RedactionKey, RedactionRules, Redactor, VALUE_BYTES_MIN, VALUES_MAX};
pub use retention::{Limit, Retention};
pub use rollup::{Quantiles, is_random_call_id};
pub use stats::{
    BucketSize, GroupBy, RollupKeeper, Series, SeriesBucket, SeriesCounts, SessionSummary, Sessions, Sources, Stats,
    ToolStats,
};
