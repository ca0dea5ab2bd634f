//! Imports the tool calls in session files of coding agents.
//!
//! `formats` knows what a line of each agent's files says, `pair` joins calls with their results, `find` knows where the
//! agents keep their files, `file_end` reads only the end of one, and `run` stores each call once, however often it stands in the files.

mod file_end;
mod find;
mod formats;
mod hooked;
mod pair;
mod reader;
mod run;

pub(crate) use file_end::FileEnd;
pub(crate) use find::{Found, files_below, find};
pub(crate) use formats::{Format, claude_code_words, text_of};
pub(crate) use hooked::APART_MAX_MS;
pub(crate) use run::{Report, Run, calls_of, look, recognise};
