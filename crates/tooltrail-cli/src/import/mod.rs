//! Imports calls that other programs recorded: reads them, sorts them, and stores each of them once.
//!
//! A file is read twice. The first pass checks each line and notes its offset and its time. The notes are sorted, on
//! disk if there are too many for memory. The second pass reads the lines in this order and sends them to the recorder
//! in batches. After the recorder has acknowledged a batch, the number of stored entries is written to a state file, so
//! that an import that was cut short continues from there.

mod already;
mod grown;
mod line;
mod order;
mod run;
mod scratch;
mod source;
mod state;
mod store;

pub(crate) use already::{Stored, each_stored};
pub(crate) use run::{Begins, Job, Outcome, Rejected, Report, name_of, why_ahead};
pub(crate) use source::decompressed;
pub(crate) use state::{lock_sessions, remove_old};
