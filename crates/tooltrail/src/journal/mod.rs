//! The journal: the write-ahead file that makes a batch durable with one sync.

pub(crate) mod frame;
mod log;
pub(crate) mod segment;
mod slots;

pub(crate) use frame::{Kind, Record};
pub(crate) use log::{Entry, Journal};
pub(crate) use slots::{Orphan, orphans};
