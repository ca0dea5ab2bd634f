//! Reads JSON-RPC messages from a stream of bytes, in constant memory and whatever the order of their members.

mod buffers;
mod members;
mod message;
mod scanner;

pub(crate) use buffers::size;
pub(crate) use message::{Answer, Id, Message};
pub(crate) use scanner::{LineEnd, Scanner};

#[cfg(test)]
mod tests;
