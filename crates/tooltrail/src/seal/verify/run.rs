//! What one verification gathers, and the report that it ends with.

use crate::seal::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::seal::note::{Signed, VerifierKey};
use crate::seal::verify::memory::{KnownFiles, Remembered};
use crate::seal::verify::verdict::{Counts, Finding, Report, Verdict};
use crate::seal::verify::view::View;

/// What is gathered during one verification.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) findings: Vec<Finding>,
    /// Whether a file has lines that are just not sealed yet.
    pub(super) has_tail: bool,
    pub(super) vouched_by: Vec<String>,
    pub(super) vouched_upto: Vec<u64>,
    pub(super) counts: Counts,
    pub(super) good_files: KnownFiles,
}

/// A checkpoint that somebody saw.
pub(super) struct Seen {
    pub(super) who: String,
    pub(super) note: Option<String>,
    pub(super) witness: Option<VerifierKey>,
    /// The key that was remembered with it.
    pub(super) key: Option<VerifierKey>,
}

/// The result of one file.
#[derive(Debug, Default)]
pub(super) struct OneFile {
    pub(super) findings: Vec<Finding>,
    pub(super) has_tail: bool,
    pub(super) counts: Counts,
    /// Its path and its state, by which the next verification knows that it has not changed.
    pub(super) state: Option<(String, String)>,
    /// Whether an erasure is recorded that may still be under way.
    pub(super) is_unfinished: bool,
}

impl OneFile {
    pub(super) fn is_bad(&self) -> bool {
        self.findings.iter().any(|finding| !finding.verdict.is_good())
    }
}

impl Run {
    pub(super) fn add(&mut self, one: OneFile) {
        if one.findings.is_empty() && !one.has_tail {
            self.good_files.extend(one.state);
        }
        self.counts.skipped += one.counts.skipped;
        self.findings.extend(one.findings);
        self.has_tail |= one.has_tail;
        self.counts.files += one.counts.files;
        self.counts.lines += one.counts.lines;
        self.counts.bytes += one.counts.bytes;
        self.counts.heads += one.counts.heads;
        self.counts.adopted += one.counts.adopted;
        self.counts.tail_lines += one.counts.tail_lines;
    }

    pub(super) fn count_removals(&mut self, view: &View, since: u64) {
        for (_, is_erasure) in view.removals.iter().filter(|(index, _)| *index >= since) {
            let count = if *is_erasure { &mut self.counts.erased } else { &mut self.counts.pruned };
            *count += 1;
        }
    }

    /// Step 4: compares the log with a checkpoint that somebody saw.
    pub(super) fn compare(&mut self, seen: &Seen, view: &View, own: &[VerifierKey]) {
        let who = &seen.who;
        let mut found = |verdict, text: String| self.findings.push(Finding::of_log(verdict, text));
        let Some(note) = &seen.note else {
            return found(Verdict::Missing, format!("there is no note of {who}"));
        };
        let read = SignedCheckpoint::parse_extended(note);
        let Some(read) = read.filter(|read| {
            read.checkpoint.origin != view.checkpoint.checkpoint.origin || is_known(read, seen, view, own)
        }) else {
            return found(Verdict::BadSignature, format!("the checkpoint {who} is not signed by an accepted key"));
        };
        let Checkpoint { origin, size, root } = read.checkpoint;
        if origin != view.checkpoint.checkpoint.origin {
            found(Verdict::Forked, format!("the checkpoint {who} is of another log, {origin}"));
        } else if size > view.size() {
            found(
                Verdict::RolledBack,
                format!("the checkpoint {who} has {size} entries, and the log has {}", view.size()),
            );
        } else if view.roots.get(&size) != Some(&root) {
            found(Verdict::Forked, format!("the checkpoint {who} of size {size} has another root"));
        } else {
            self.vouched_by.push(who.clone());
            self.vouched_upto.push(size);
        }
    }

    pub(super) fn report(mut self, view: Option<&View>) -> Report {
        let worst = self.findings.iter().map(|finding| finding.verdict).min();
        let tail = self.has_tail.then_some(Verdict::OkUnsealedTail);
        let verdict = worst.into_iter().chain(tail).min().unwrap_or(Verdict::Ok);
        self.findings.sort_by(|a, b| a.verdict.cmp(&b.verdict).then_with(|| a.file.cmp(&b.file)));
        Report {
            verdict,
            findings: self.findings,
            vouched_by: self.vouched_by,
            vouched_upto: self.vouched_upto,
            checkpoint: view.map(|view| (view.checkpoint.checkpoint.origin.clone(), view.size(), view.root_text())),
            counts: self.counts,
            good_files: self.good_files,
            remember: view.map(|view| (view.key.to_string(), view.checkpoint.whole.clone())),
        }
    }
}

impl Report {
    /// Returns what a verifier should remember; `None` if the verdict speaks against the log.
    #[must_use]
    pub fn to_remember(&self) -> Option<Remembered> {
        let log_is_good = self.findings.iter().all(|finding| !finding.is_of_log() || finding.verdict.is_good());
        let (key, checkpoint) = self.remember.as_ref().filter(|_| log_is_good)?;
        Some(Remembered { key: VerifierKey::parse(key)?, checkpoint: checkpoint.clone() })
    }
}

/// Whether a seen checkpoint is signed by an accepted key, and by the witness if it is a witness's.
fn is_known(read: &SignedCheckpoint, seen: &Seen, view: &View, own: &[VerifierKey]) -> bool {
    let by_log = match &seen.key {
        Some(key) => read.is_signed_by(key),
        None => view.accepted.iter().chain(own).any(|key| read.is_signed_by(key)),
    };
    let by_witness = seen.witness.as_ref().is_none_or(|key| matches!(read.note.signed_by(key), Signed::Yes(_)));
    by_log && by_witness
}
