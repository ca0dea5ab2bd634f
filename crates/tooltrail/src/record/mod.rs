//! The way in: a recorder, its queue and its writer, and what the trail says about itself.

mod crew;
mod event;
mod keys;
mod open;
mod promise;
mod queue;
mod reads;
mod recorder;
mod writer;

pub use event::Event;
pub use open::Open;
pub use promise::{Ack, DURABLE_WAIT};
pub use recorder::{Options, Recorder};
