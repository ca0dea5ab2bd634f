//! Counts calls from the lines of a day file.

use std::collections::{HashMap, HashSet};
use std::io;

use super::counting::CountCalls;
use super::reading::Reading;
use crate::clock::Date;
use crate::day::Forward;
use crate::disk::{DiskFile, Stat};
use crate::query::Line;
use crate::rollup::{Broken, FileLine, FileRollup, Settled, Sightings, id_of, is_own};

/// The most entries that match in one file and are remembered until it is known whether one of them has a call id. With
/// more, the file is read once more.
const MATCHES_MAX: usize = 50_000;

impl<C: CountCalls> Reading<'_, C> {
    /// Reads the lines of a file, and calls `found` with each entry that is of interest. Returns whether all was read.
    fn lines(
        &self,
        (file, stat): (&dyn DiskFile, &Stat),
        only_matching: bool,
        mut found: impl FnMut(&Self, Line<'_>, u64) -> bool,
    ) -> io::Result<Lines> {
        let mut forward = Forward::new(file, 0, stat.len);
        let (mut broken, mut bytes, mut go_on) = (Broken::default(), 0, true);
        loop {
            let zone = &self.trail.zone;
            let read = forward.step(|offset, line| {
                let Some(line) = line else {
                    broken.too_long += 1;
                    return;
                };
                let read = if only_matching {
                    FileLine::read_if(offset, line, zone, |line| self.filter.may_match(line))
                } else {
                    Some(FileLine::read(offset, line, zone))
                };
                match read {
                    Some(FileLine::Broken) => broken.line(line),
                    Some(FileLine::Entry(entry)) if go_on => go_on = found(self, entry, offset),
                    _ => {}
                }
            })?;
            bytes += read;
            if read == 0 {
                let is_torn = forward.position() < stat.len;
                return Ok(Lines { broken, is_torn, bytes, complete: true, ended: !go_on });
            }
            let spent = self.is_spent(bytes);
            if spent || !go_on {
                return Ok(Lines { broken, is_torn: false, bytes, complete: !spent, ended: !go_on });
            }
        }
    }

    fn took(&mut self, lines: &Lines) {
        self.context.skipped.add(&lines.broken);
        self.context.skipped.torn += u64::from(lines.is_torn);
        self.context.scanned.bytes += lines.bytes;
        self.sources.files += 1;
    }

    /// Counts the matching calls of a file whose rollup says which sightings do not count.
    pub(super) fn matching(
        &mut self,
        folder: &str,
        day: Date,
        file: (&dyn DiskFile, &Stat),
        mut rollup: FileRollup,
    ) -> io::Result<bool> {
        // The file may have been covered in parts by now.
        let edges = rollup.edges.iter().enumerate().map(|(n, seen)| (seen.offset, n)).collect::<HashMap<_, _>>();
        rollup.edges.iter_mut().for_each(|seen| seen.is_asked = false);
        let mut counted = Vec::new();
        let only_matching = self.filter.has_needles();
        let lines = self.lines(file, only_matching, |reading, entry, offset| {
            if reading.asks(&entry) && rollup.absorbed.binary_search(&offset).is_err() {
                let seen = reading.seen(&entry, offset, true);
                match edges.get(&offset) {
                    Some(edge) => rollup.edges[*edge] = seen,
                    None => counted.push(seen.sighting),
                }
            }
            true
        })?;
        self.took(&lines);
        counted.iter().for_each(|call| self.counts.count(call));
        self.keep_edges(folder, day, rollup.edges);
        Ok(lines.complete)
    }

    /// Counts the calls of a file without a rollup. If entries that match have call ids, the whole file is read, because
    /// other sightings of these calls may not match.
    pub(super) fn whole_or_matching(
        &mut self,
        folder: &str,
        day: Date,
        file: (&dyn DiskFile, &Stat),
    ) -> io::Result<bool> {
        if self.filter.has_needles() {
            let (mut matches, mut ids) = (Vec::new(), HashSet::new());
            let lines = self.lines(file, true, |reading, entry, offset| {
                if !reading.asks(&entry) || id_of(&entry).is_some_and(|id| !ids.insert(id)) {
                    return true;
                }
                let seen = reading.seen(&entry, offset, true);
                let goes_on = seen.sighting.call_id.is_none() && matches.len() < MATCHES_MAX;
                matches.push(seen.sighting);
                goes_on
            })?;
            if !lines.ended {
                self.took(&lines);
                matches.iter().for_each(|call| self.counts.count(call));
                return Ok(lines.complete);
            }
            self.context.scanned.bytes += lines.bytes;
        }
        let (mut alone, mut sightings, mut ids) = (Vec::new(), Sightings::default(), HashSet::new());
        let lines = self.lines(file, false, |reading, entry, offset| {
            if is_own(&entry) && !reading.own || id_of(&entry).is_some_and(|id| !ids.insert(id)) {
                return true;
            }
            let is_asked = reading.asks(&entry);
            if is_asked || entry.string("call_id").is_some_and(|call_id| !call_id.is_empty()) {
                alone.extend(sightings.add(reading.seen(&entry, offset, is_asked)).filter(|seen| seen.is_asked));
            }
            true
        })?;
        self.took(&lines);
        let settled = Settled::of(sightings, day);
        let counted = settled.counted.iter().filter(|seen| seen.is_asked).chain(&alone);
        counted.for_each(|seen| self.counts.count(&seen.sighting));
        self.keep_edges(folder, day, settled.edges);
        Ok(lines.complete)
    }
}

/// What was read of a file.
struct Lines {
    broken: Broken,
    /// Whether the file ends with bytes without a newline.
    is_torn: bool,
    bytes: u64,
    complete: bool,
    /// Whether the reader wanted no more.
    ended: bool,
}
