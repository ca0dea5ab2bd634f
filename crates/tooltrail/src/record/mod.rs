//! The way in: a recorder, its queue and its writer, and what the trail says about itself.

mod blocked_files;
mod buffers;
mod counters;
mod encoder;
mod event;
mod fair_batch;
mod files;
mod flusher;
mod group;
mod item;
mod keys;
mod losses;
mod offer;
mod open;
mod opening;
mod options;
mod parallel_map;
mod promise;
mod prunable;
mod prune;
mod queue;
mod reads;
mod recorder;
mod recovery;
#[cfg(all(test, feature = "schedules"))]
mod schedules;
mod shards;
mod steps;
mod store;
mod sync;
mod unreported_fragments;
mod waiting;
mod wake;
mod weight;
mod writer;

pub use counters::{Counters, Histogram};
pub use event::Event;
pub use keys::redaction_keys;
pub use open::Open;
pub use options::Options;
pub use promise::{Ack, DURABLE_WAIT};
pub use prunable::{PrunedDay, would_prune};
pub use recorder::{Prepared, Recorder};
#[doc(hidden)]
pub use steps::Steps;
