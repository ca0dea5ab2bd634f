//! `tooltrail agent`: puts hooks into the settings of coding agents, takes them out again, and says whether they work.
//!
//! `places` knows where each agent keeps its settings and `hooks` what must stand there. `hooks_file` and `servers` change
//! the text of a file, and nothing in it but what is ours. `change` writes a file, `undo` remembers what it was before.

mod change;
mod doctor;
mod hooks;
mod hooks_file;
mod install;
mod json;
mod places;
mod plugins;
mod running;
mod servers;
mod undo;

pub(crate) use change::{Change, line_diff};
pub(crate) use doctor::{Diagnosis, Doctor, Seen};
pub(crate) use install::{Installer, Outcome, Plan};
pub(crate) use places::Places;
pub(crate) use servers::Kind;
pub(crate) use undo::Undo;
#[cfg(test)]
mod tests;
