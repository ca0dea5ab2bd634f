//! Rollups: the calls of each day file, counted once and kept, so that an answer about many days reads little.
//!
//! A rollup is a cache. It counts only while the day file is the same one and begins with the same bytes; a missing,
//! stale or damaged one is as if there was none, and then the day file itself is read.

mod bytes;
mod cells;
mod day;
mod day_file;
mod home;
mod lines;
mod numbers;
mod record;
mod sessions;
mod sightings;
mod sketch;

pub(crate) use cells::{Cell, CellKey, Cells, HOUR_MS, Names, date_of_day, hour_start};
pub(crate) use day::{DayRollups, IndexEntry, NewRollup};
pub(crate) use day_file::{FileRollup, extend, is_current, is_unchanged};
pub(crate) use home::HomeCalls;
pub(crate) use lines::{Broken, FileLine, Settled, id_of, is_own, midnight_of, seen};
pub(crate) use numbers::Numbers;
pub use numbers::Quantiles;
pub(crate) use record::Part;
pub(crate) use sessions::SessionRow;
pub use sightings::is_random_call_id;
pub(crate) use sightings::{Seen, Sighting, Sightings};
pub(crate) use sketch::Sketch;
