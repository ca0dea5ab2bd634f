//! The end of a session file, for a hook that asks how the last calls ended.

use std::collections::HashSet;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde_json::Value;
use tooltrail::{Call, Via};

use crate::regular_file::open;
use crate::transcripts::formats::Format;
use crate::transcripts::pair::Pairs;

/// The bytes at the beginning of a session file in which its version stands.
const BEGINNING_BYTES: u64 = 64 * 1024;

/// The bytes at its end in which every line has the version.
const LAST_BYTES: u64 = 16 * 1024;

/// What the end of a session file tells.
#[derive(Debug, Default)]
pub(crate) struct FileEnd {
    /// The calls that have ended, in the order in which they did.
    pub(crate) calls: Vec<Call>,
    /// The ids of calls that have failed and whose result is not in the file yet.
    pub(crate) failed: HashSet<String>,
}

impl FileEnd {
    /// Reads the last bytes of a session file.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn read(format: Format, path: &Path, bytes: u64) -> io::Result<Self> {
        let mut pairs = Pairs::new(format, "");
        let mut calls = Vec::new();
        for line in lines(&last(path, bytes)?) {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let said = format.read(&line, &mut pairs.session);
            calls.extend(said.into_iter().flatten().filter_map(|said| pairs.take(said).ok()?));
        }
        let calls = calls.into_iter().map(|found| {
            let mut call = found.call;
            // The id and the capture of the entry are those of an import.
            (call.id, call.via) = (None, Via::Hook);
            call
        });
        Ok(Self { calls: calls.collect(), failed: pairs.session.failed })
    }

    /// Returns the version of the client that a session file names.
    pub(crate) fn version(format: Format, path: &Path) -> Option<String> {
        let text = match format {
            Format::ClaudeCode | Format::Pi => last(path, LAST_BYTES).ok()?,
            Format::Codex | Format::Gemini | Format::Copilot => {
                let mut text = Vec::new();
                open(path).ok()?.take(BEGINNING_BYTES).read_to_end(&mut text).ok()?;
                String::from_utf8_lossy(&text).into_owned()
            }
        };
        let mut session = crate::transcripts::formats::Session::default();
        for line in lines(&text) {
            if let Ok(line) = serde_json::from_str::<Value>(line) {
                format.read(&line, &mut session);
            }
            if session.version.is_some() {
                break;
            }
        }
        session.version
    }
}

/// Returns the last bytes of a file.
fn last(path: &Path, bytes: u64) -> io::Result<String> {
    let mut file = open(path)?;
    file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(bytes)))?;
    let mut text = Vec::new();
    file.take(bytes).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Returns the lines of a text that may begin and end in the middle of one. A cut line is no JSON, and is left out.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with('{'))
}
