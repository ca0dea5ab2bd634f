//! Checks one day file against its heads: section 7 of `docs/proof.md`.

use std::collections::HashMap;
use std::io;

use crate::clock::Date;
use crate::disk::{Disk, DiskFile};
use crate::seal::growth::ErasedLines;
use crate::seal::leaves::{LeafCache, each_line};
use crate::seal::record::{Head, Tree};
use crate::seal::tree::{Frontier, Hash};
use crate::seal::verify::verdict::{Counts, Finding, Verdict};

/// What is said of a line that should have been erased: the erasure may still be under way.
pub(super) const NOT_ERASED: &str = "the log says that this line was erased, but it is there";

/// A day file and the heads that it is checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) folder: &'a str,
    pub(crate) date: Date,
    pub(crate) name: Hash,
    /// The file; `None` if it is missing.
    pub(crate) file: Option<&'a dyn DiskFile>,
    /// Its length when it was opened.
    pub(crate) len: u64,
    /// All heads, in the order of the log.
    pub(crate) heads: &'a [(u64, Head)],
    pub(crate) erased: &'a ErasedLines,
}

/// The result of checking one tree.
#[derive(Debug, Default)]
struct TreeResult {
    /// The heads, in order, that hold.
    holds: Vec<bool>,
    /// The leaves of the file from the begin of the tree, if they were kept.
    leaves: Vec<Hash>,
    lines: u64,
    erased: Option<(u64, u64)>,
    not_erased: Option<u64>,
    spaces: Option<(u64, u64)>,
}

impl Checked<'_> {
    /// Checks all trees of the file and returns what was found, and whether the newest tree is well.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn check(&self, counts: &mut Counts) -> io::Result<(Vec<Finding>, bool)> {
        let (mut findings, mut before) = (Vec::new(), 0);
        let mut rest = self.heads;
        if rest.is_empty() {
            let lines = self.read(Tree::default(), &[], false)?.lines;
            (counts.lines, counts.tail_lines) = (counts.lines + lines, lines);
        }
        while let Some((_, first)) = rest.first() {
            let of_tree = rest.iter().take_while(|(_, head)| head.tree == first.tree).count();
            let (heads, after) = rest.split_at(of_tree);
            before = findings.len();
            self.check_tree(first.tree, heads, counts, &mut findings)?;
            rest = after;
        }
        let is_well = findings[before..].iter().all(|finding| finding.verdict.is_good());
        Ok((findings, is_well))
    }

    /// Whether all heads hold.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn holds(&self) -> io::Result<bool> {
        let (findings, _) = self.check(&mut Counts::default())?;
        Ok(findings.iter().all(|finding| finding.verdict.is_good()))
    }

    fn check_tree(
        &self,
        tree: Tree,
        heads: &[(u64, Head)],
        counts: &mut Counts,
        findings: &mut Vec<Finding>,
    ) -> io::Result<()> {
        let result = self.read(tree, heads, false)?;
        counts.heads += heads.len() as u64;
        let newest = &heads[heads.len() - 1].1;
        // Every tree is read to the end of the file. The lines count once, with the first tree.
        counts.lines += if tree.broken.is_none() { result.lines } else { 0 };
        counts.tail_lines = result.lines.saturating_sub(newest.entries);
        let line = |at: u64| tree.first_line + at + 1;
        let mut found = |verdict, lines: Option<(u64, u64)>, text: &str| {
            findings.push(Finding::of_file(verdict, (self.folder, self.date), lines, text));
        };
        if let Some((from, to)) = result.erased {
            found(Verdict::Erased, Some((line(from), line(to))), "lines were erased, and the log says so");
        }
        if let Some(at) = result.not_erased {
            found(Verdict::Modified, Some((line(at), line(at))), NOT_ERASED);
        }
        if let Some((from, to)) = result.spaces {
            found(
                Verdict::Incident,
                Some((line(from), line(to))),
                "damage was replaced with spaces before it was sealed",
            );
        }
        let Some(failed) = result.holds.iter().position(|holds| !holds) else { return Ok(()) };
        // Now the leaves are needed.
        let leaves = self.read(tree, heads, true)?.leaves;
        let expected = self.cached(newest)?.filter(|expected| !leaves.starts_with(expected));
        if let Some(expected) = expected.filter(|_| self.file.is_some()) {
            let (verdict, at) = compare(&leaves, &expected);
            let text = match verdict {
                Verdict::Missing => "lines are gone",
                Verdict::Truncated => "the end of the file is gone",
                Verdict::Inserted => "lines were inserted",
                Verdict::Reordered => "lines are in another order",
                _ => "lines are not those that were sealed",
            };
            found(verdict, Some((line(at), line(at))), text);
            return Ok(());
        }
        let fits = |head: &Head| head.entries <= leaves.len() as u64;
        let first_failed = &heads[failed].1;
        let from = failed.checked_sub(1).map_or(0, |before| heads[before].1.entries);
        if self.file.is_none() {
            found(Verdict::Missing, None, "the file is gone");
        } else if !fits(first_failed) {
            found(
                Verdict::Truncated,
                Some((line(leaves.len() as u64), line(newest.entries - 1))),
                "the end of the file is gone",
            );
        } else {
            let to = first_failed.entries.saturating_sub(1).max(from);
            found(Verdict::Modified, Some((line(from), line(to))), "lines are not those that were sealed");
        }
        Ok(())
    }

    /// Reads a tree's lines and compares them with its heads. With `keep`, keeps the leaves.
    fn read(&self, tree: Tree, heads: &[(u64, Head)], keep: bool) -> io::Result<TreeResult> {
        let mut result = TreeResult { holds: vec![false; heads.len()], ..TreeResult::default() };
        let Some(file) = self.file else { return Ok(result) };
        let sealed = heads.last().map_or(0, |(_, head)| head.entries);
        let mut frontier = Frontier::default();
        let mut next = 0;
        let erased = self.erased.of_tree(&self.name, heads.first().map_or(0, |(index, _)| *index));
        let mut holds = |frontier: &Frontier, end: u64, result: &mut TreeResult| {
            while let Some((_, head)) = heads.get(next).filter(|(_, head)| head.entries <= frontier.leaves()) {
                // Heads of fewer entries than one before cannot hold any more.
                result.holds[next] =
                    head.entries == frontier.leaves() && head.bytes == end && frontier.root() == head.root;
                next += 1;
            }
        };
        holds(&frontier, tree.first_byte, &mut result);
        if tree.first_byte > self.len {
            return Ok(result);
        }
        let mut at = 0;
        each_line(file, tree.first_byte, self.len, |leaf| {
            let mut hash = leaf.hash;
            let record = if erased.is_empty() { None } else { erased.get(&(tree.first_line + at)) };
            match record {
                Some(record) if record.new == hash => {
                    hash = record.old;
                    result.erased = Some((result.erased.map_or(at, |(from, _)| from), at));
                }
                Some(record) if record.old == hash => result.not_erased = result.not_erased.or(Some(at)),
                _ if leaf.is_spaces && at < sealed => {
                    result.spaces = Some((result.spaces.map_or(at, |(from, _)| from), at));
                }
                _ => {}
            }
            at += 1;
            if at <= sealed {
                frontier.push(hash);
                holds(&frontier, leaf.end, &mut result);
            }
            if keep {
                result.leaves.push(hash);
            }
            Ok(())
        })?;
        result.lines = at;
        Ok(result)
    }

    /// Returns the cached leaves of the newest head, if they have its root.
    fn cached(&self, newest: &Head) -> io::Result<Option<Vec<Hash>>> {
        let cache = LeafCache::new(self.disk, self.folder, self.date, newest.tree);
        let (mut leaves, mut frontier) = (Vec::new(), Frontier::default());
        let read = cache.each(newest.entries, |leaf| {
            frontier.push(leaf);
            leaves.push(leaf);
            Ok(())
        });
        match read {
            Ok(Some(())) if frontier.root() == newest.root => Ok(Some(leaves)),
            // A cache that cannot be read is a cache that is lost.
            Ok(_) | Err(_) => Ok(None),
        }
    }
}

/// Returns what was done to the sealed leaves `expected` so that they became `actual`, and from which line on.
fn compare(actual: &[Hash], expected: &[Hash]) -> (Verdict, u64) {
    let same = actual.iter().zip(expected).take_while(|(actual, expected)| actual == expected).count();
    let at = same as u64;
    if same == actual.len() {
        return (Verdict::Truncated, at);
    }
    let sealed = actual.get(same..expected.len());
    if sealed.is_some_and(|sealed| has_same(sealed, &expected[same..])) {
        return (Verdict::Reordered, at);
    }
    let last = expected.last();
    let end = (same..actual.len()).rev().find(|position| actual.get(*position) == last);
    let (end, suffix) = match end {
        None => (actual.len(), 0),
        Some(position) => {
            let most = (expected.len() - same).min(position + 1 - same);
            let (actual, expected) = (actual[..=position].iter().rev(), expected.iter().rev());
            let suffix = actual.zip(expected).take(most).take_while(|(actual, expected)| actual == expected).count();
            (position + 1, suffix)
        }
    };
    let (actual, expected) = (&actual[same..end - suffix], &expected[same..expected.len() - suffix]);
    let verdict = if is_subsequence(expected, actual) {
        Verdict::Inserted
    } else if is_subsequence(actual, expected) {
        Verdict::Missing
    } else {
        Verdict::Modified
    };
    (verdict, at)
}

/// Whether both have the same leaves, each as often.
fn has_same(a: &[Hash], b: &[Hash]) -> bool {
    let mut counts = HashMap::<&Hash, i64>::new();
    a.iter().for_each(|leaf| *counts.entry(leaf).or_default() += 1);
    b.iter().for_each(|leaf| *counts.entry(leaf).or_default() -= 1);
    a.len() == b.len() && counts.values().all(|count| *count == 0)
}

fn is_subsequence(part: &[Hash], whole: &[Hash]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|leaf| whole.any(|other| other == leaf))
}
