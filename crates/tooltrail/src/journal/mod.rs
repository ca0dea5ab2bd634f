//! The journal: the write-ahead file that makes a batch durable with one sync.

mod frame;
mod log;
mod segment;
mod slots;

pub(crate) use frame::{Kind, Record};
pub(crate) use log::{Entry, Journal};
pub(crate) use slots::{Orphan, orphans, waiting};
