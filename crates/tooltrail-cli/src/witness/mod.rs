//! Witnesses: the service that cosigns other logs, and the client that asks it.

mod client;
mod server;

pub(crate) use client::ask;
pub(crate) use server::serve;
