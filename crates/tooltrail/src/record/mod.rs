//! Recording: the recorder, its queue, its writer thread, and our own events.

mod counters;
mod encoder;
mod event;
mod finished;
mod keys;
mod known_ids;
mod loss;
mod open;
mod open_call_id;
mod opening;
mod options;
mod parallel_map;
mod prune;
mod queue;
mod reads;
mod recorder;
mod recovery;
mod sealing;
mod sessions;
mod steps;
mod store;
#[cfg(all(test, feature = "schedules"))]
mod tests;
pub(crate) mod unsynced;
mod upkeep;
mod writer;

pub use counters::{Counters, Histogram};
pub use event::Event;
pub use finished::Finished;
pub use keys::redaction_keys;
pub use loss::LossReason;
pub use open::Open;
pub use options::Options;
pub use prune::prunable::{PrunedDay, would_prune};
pub use queue::promise::{Ack, DURABLE_WAIT};
pub use recorder::{Prepared, Recorder};
pub use sealing::SealStatus;
pub(crate) use sealing::{SealRound, SealWhen, Sealing};
pub(crate) use sessions::forget_sessions;
pub use sessions::{CallKey, CallState, Ended, OpenCalls, SessionCall, SessionRecorder};
#[doc(hidden)]
pub use steps::Steps;
pub(crate) use upkeep::{Upkeep, UpkeepStep};
