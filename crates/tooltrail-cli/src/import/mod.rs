//! Calls recorded elsewhere, taken in: read, sorted, stored once each.
//!
//! A file is read twice. The first pass checks each line and notes where it stands and when it happened; the notes
//! are sorted, outside the memory where they are many. The second reads the lines in that order and stores them in
//! batches, each acknowledged by the recorder and then noted in a state file, so that an import cut short goes on
//! where it was.

mod already;
mod grown;
mod line;
mod order;
mod run;
mod scratch;
mod source;
mod state;
mod store;

pub(crate) use run::{Begins, Job, Outcome, Report, name_of};
pub(crate) use state::remove_old;
