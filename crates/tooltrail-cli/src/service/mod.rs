//! The parts of the service that do not depend on HTTP: state, limits, background tasks and the live stream.

pub(crate) mod ask_witness;
pub(crate) mod checkpoints;
pub(crate) mod live;
pub(crate) mod meters;
pub(crate) mod peer;
pub(crate) mod quota;
mod refusal;
pub(crate) mod sessions;
mod state;
pub(crate) mod tasks;
pub(crate) mod turns;

pub(crate) use refusal::Refusal;
pub(crate) use state::{GiveUp, Opened, PAGE_BYTES_MAX, Service};
