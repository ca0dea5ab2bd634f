//! `tooltrail hook`: records the events that a coding agent tells its hooks.
//!
//! `clients/` says what an event means, as pure functions: that a call begins, how it ended, that a turn or a session is
//! over. `run` does what they say.

mod args;
mod client;
mod clients;
mod event;
#[cfg(test)]
mod fuzzing;
mod gate;
mod losses;
mod paused;
mod record;
mod run;
mod told;
mod transcript;

pub(crate) use args::HookArgs;
pub(crate) use client::Client;
pub(crate) use gate::Gates;
pub(crate) use losses::LossFile;
pub(crate) use paused::PauseFile;
pub(crate) use run::{COPILOT_HOOKS, run, state_folder};
#[cfg(test)]
mod tests;
