//! The modules of the command line that read lines of session files, compiled here once more.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "the import uses more of them than the fuzzer")]

#[path = "../../../crates/tooltrail-cli/src/transcripts/formats/mod.rs"]
pub(crate) mod formats;

pub(crate) use formats::{claude_code_words, text_of};
