//! Prints answers on a terminal and into a pipe.

mod answer;
mod colour;
mod columns;
mod escape;
mod pager;
mod report;
mod sealed;
mod shown;
mod stream;
mod table;

pub(crate) use answer::{
    nothing_json, nothing_words, scanned_json, series_json, sessions_json, skipped_json, stats_json, tell_skipped,
};
pub(crate) use colour::{Colour, word};
pub(crate) use columns::Columns;
pub(crate) use escape::{escape_of, escaped, escaped_json, is_hostile};
pub(crate) use pager::print_paged;
pub(crate) use report::report;
pub(crate) use sealed::{first_kinds_words, first_words, sealed_words, vouched_words};
pub(crate) use shown::{Shown, duration, stored};
pub(crate) use stream::{
    Data, EchoOff, choose_colour, print_json, stderr_is_terminal, stdin_is_terminal, stdout_is_terminal, talk,
    talk_error, talk_hint, unit,
};
pub(crate) use table::{Cell, Column, Table};
