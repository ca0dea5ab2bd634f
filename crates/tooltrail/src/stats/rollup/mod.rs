//! Rollups: the calls of each day file, counted once and kept, so that an answer about many days reads little.
//!
//! A rollup is a cache. It counts only while the day file is the same one and begins with the same bytes; a missing,
//! stale or damaged one is as if there was none, and then the day file itself is read.

mod bytes;
mod cells;
mod day;
mod file;
mod home;
mod keep;
mod record;

pub(super) use cells::{Cell, CellKey, Cells, HOUR_MS, Names, date_of_day, hour_start};
pub(super) use day::{DayRollups, IndexEntry};
pub(super) use file::{FileRollup, extend, is_current};
pub(super) use home::HomeCalls;
pub use keep::RollupKeeper;
pub(super) use record::Part;
