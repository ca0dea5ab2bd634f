//! Stands between the pipes of a client and those of a server that it starts.
//!
//! Two threads pass bytes, one for each direction (`requests`, `answers`). Usually a thread passes bytes first and looks
//! at them afterwards. Where a message may be refused or must be recorded first, the thread holds each line until that
//! is known, which keeps the order within the direction. The main thread (`run`) waits for the ends of the two streams
//! and of the server. All threads sleep while nothing happens.

mod answers;
mod event;
mod held;
mod lists;
mod order;
mod output;
mod requests;
mod run;
mod server;
mod shared;
mod signals;

pub(crate) use run::{Start, run};
pub(crate) use server::NOT_STARTED;
