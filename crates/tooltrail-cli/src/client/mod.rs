//! The client of a service on this machine: over its Unix socket, or over loopback.

mod address;
mod request;
mod unix;

pub(crate) use address::ServiceAddress;
pub(crate) use request::{Answer, Client};
