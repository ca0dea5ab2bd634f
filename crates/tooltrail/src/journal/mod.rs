//! The write-ahead journal: it makes a batch of entries durable with one sync.

pub(crate) mod frame;
mod log;
pub(crate) mod segment;
mod slots;
mod zeros;

pub(crate) use frame::{Kind, Record};
pub(crate) use log::{Entry, Journal};
pub(crate) use segment::SyncMode;
pub(crate) use slots::{Orphan, orphans, waiting};
pub(crate) use zeros::{request_zeros, requested, segments_with, zero_unowned};
