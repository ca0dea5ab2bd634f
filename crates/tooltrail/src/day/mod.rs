//! Everything about one day file: appending, torn tails and damage, late lines, reading backwards, and reading forwards
//! as the file grows.

mod append;
mod blocks;
mod damage;
mod forward;
mod fragment;
mod lateness;
mod line_hashes;
mod reconcile;
mod scan;
mod tail;
mod tail_cursor;

pub(crate) use append::End;
pub(crate) use blocks::{Blocks, LineBefore};
pub(crate) use damage::{Damage, finish};
pub(crate) use forward::Forward;
pub(crate) use fragment::Fragment;
pub(crate) use lateness::{LATE_MS, LatenessNotes, Notes, Span};
pub(crate) use reconcile::{Wanted, reconcile};
pub(crate) use tail::{LOOKS_MAX, STILL, last_line};
pub(crate) use tail_cursor::{Broken, NextChunk, TailCursor};
