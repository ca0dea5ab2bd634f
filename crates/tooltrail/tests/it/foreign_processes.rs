//! What others do to the files of a home while we write: a foreign writer that needs several writes for a line, folders
//! that may not be read, a lock whose holder stands still.

use std::collections::{BTreeSet, VecDeque};

use crate::sim_disk::Dice;

/// The owner of a lock whose holder stands still: no process of ours.
pub(crate) const STOPPED: u64 = u64::MAX;

/// Pieces of one foreign line.
const PIECES: u64 = 4;

/// What is around now.
#[derive(Debug, Default)]
pub(crate) struct ForeignProcesses {
    dice: Dice,
    /// Pieces that a foreign writer is still to append: the file and the bytes.
    pieces: VecDeque<(String, Vec<u8>)>,
    /// What it has appended so far.
    pub(crate) appended: Vec<Vec<u8>>,
    /// Lines of it so far.
    lines: u64,
    /// Paths below which nothing may be opened.
    denied: BTreeSet<String>,
}

impl ForeignProcesses {
    /// Lets a foreign writer append so many lines to a file, in pieces, while we do other things.
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

    /// Returns the next piece, if the foreign writer writes now.
    pub(crate) fn piece(&mut self) -> Option<(String, Vec<u8>)> {
        if self.pieces.is_empty() || self.dice.below(3) > 0 {
            return None;
        }
        self.pieces.pop_front()
    }

    /// Denies all that is below a path.
    pub(crate) fn deny(&mut self, path: &str) {
        self.denied.insert(path.to_owned());
    }

    /// Whether a path may not be opened.
    pub(crate) fn denies(&self, path: &str) -> bool {
        self.denied.iter().any(|denied| path.starts_with(denied.as_str()))
    }

    /// Ends all of it.
    pub(crate) fn end(&mut self) {
        self.pieces.clear();
        self.denied.clear();
    }

    /// The marks in what was appended, each of which must be somewhere.
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
