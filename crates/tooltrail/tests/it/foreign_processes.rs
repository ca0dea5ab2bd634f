//! Simulates what other processes do to the files of a home while we write: a foreign writer that needs several writes
//! per line, folders that may not be read, and a stopped process that holds a lock.

use std::collections::{BTreeSet, VecDeque};

use crate::dice::Dice;

/// The owner of a lock that is held by a stopped process, which is none of our processes.
pub(crate) const STOPPED: u64 = u64::MAX;

/// The number of pieces of one foreign line.
const PIECES: u64 = 4;

/// The current state of the foreign processes.
#[derive(Debug, Default)]
pub(crate) struct ForeignProcesses {
    dice: Dice,
    /// The pieces that a foreign writer has not appended yet: file and bytes.
    pieces: VecDeque<(String, Vec<u8>)>,
    /// The pieces that it has appended so far.
    pub(crate) appended: Vec<Vec<u8>>,
    /// The number of its lines so far.
    lines: u64,
    /// The paths below which no file may be opened.
    denied: BTreeSet<String>,
}

impl ForeignProcesses {
    /// Lets a foreign writer append `lines` lines to a file, in pieces, while our processes run.
    pub(crate) fn write(&mut self, seed: u64, path: &str, lines: u64) {
        self.dice.0 ^= seed;
        for _ in 0..lines {
            self.lines += 1;
            let line = self.lines;
            let marks = (0..PIECES).map(|piece| format!("<{line}.{piece}>")).collect::<Vec<_>>();
            let text = format!(
                "{{\"ts\":\"2025-11-24T16:00:00.000Z\",\"user\":\"foreign\",\"tool\":\"{}\",\"args\":{{\"f\":\"{}\"}},\
                 \"status\":\"ok\",\"result_chars\":0,\"result_snippet\":\"{}\",\"pad\":\"{}\"}}\n",
                marks[0], marks[1], marks[2], marks[3]
            );
            let mut rest = text.as_str();
            for mark in &marks[..marks.len() - 1] {
                let end = rest.find(mark.as_str()).map_or(rest.len(), |at| at + mark.len());
                self.pieces.push_back((path.to_owned(), rest.as_bytes()[..end].to_vec()));
                rest = &rest[end..];
            }
            self.pieces.push_back((path.to_owned(), rest.as_bytes().to_vec()));
        }
    }

    /// Returns the next piece, if it is the foreign writer's turn.
    pub(crate) fn piece(&mut self) -> Option<(String, Vec<u8>)> {
        if self.pieces.is_empty() || self.dice.below(3) > 0 {
            return None;
        }
        self.pieces.pop_front()
    }

    /// Denies access below a path.
    pub(crate) fn deny(&mut self, path: &str) {
        self.denied.insert(path.to_owned());
    }

    /// Returns whether a path may not be opened.
    pub(crate) fn denies(&self, path: &str) -> bool {
        self.denied.iter().any(|denied| path.starts_with(denied.as_str()))
    }

    /// Ends all foreign processes and restrictions.
    pub(crate) fn end(&mut self) {
        self.pieces.clear();
        self.denied.clear();
    }

    /// Returns the marks in the appended pieces; each must still be in some file.
    pub(crate) fn marks(&self) -> Vec<String> {
        let marks = |piece: &Vec<u8>| {
            let text = String::from_utf8_lossy(piece).into_owned();
            let mut found = Vec::new();
            let mut rest = text.as_str();
            while let Some(at) = rest.find('<') {
                let end = rest[at..].find('>').map_or(rest.len(), |end| at + end + 1);
                found.push(rest[at..end].to_owned());
                rest = &rest[end..];
            }
            found
        };
        self.appended.iter().flat_map(marks).collect()
    }
}
