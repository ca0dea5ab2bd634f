//! Counts calls from the lines of a day file.

use std::collections::{HashMap, HashSet};
use std::io;

use super::counting::CountCalls;
use super::reading::Reading;
use crate::clock::Date;
use crate::day::Forward;
use crate::disk::{DiskFile, Stat};
use crate::query::Line;
use crate::rollup::{Broken, FileLine, FileRollup, Seen, Settled, Sightings, id_of, is_own};

/// The most entries that match in one file and are remembered until it is known whether one of them has a call id. With
/// more, the file is read once more.
const MATCHES_MAX: usize = 50_000;

/// The most ids of one file that are remembered to find an entry that is in it twice: 16 bytes each, twice that in the
/// hash table.
const IDS_MAX: usize = 1_000_000;

/// The lines of a file that are being read.
pub(super) struct LineReader<'f> {
    forward: Forward<'f>,
    len: u64,
    /// Whether lines are read only if their bytes allow a match.
    only_matching: bool,
    broken: Broken,
    pub(super) bytes: u64,
    /// Whether the file ends with bytes without a newline.
    is_torn: bool,
    /// Whether everything was read.
    pub(super) complete: bool,
}

impl<'f> LineReader<'f> {
    fn new((file, stat): (&'f dyn DiskFile, &Stat), only_matching: bool) -> Self {
        let (forward, broken) = (Forward::new(file, 0, stat.len), Broken::default());
        Self { forward, len: stat.len, only_matching, broken, bytes: 0, is_torn: false, complete: false }
    }

    /// Reads one block and calls `found` with each entry. Returns whether there is more to read.
    fn step<C: CountCalls>(
        &mut self,
        reading: &Reading<'_, C>,
        mut found: impl FnMut(Line<'_>, u64),
    ) -> io::Result<bool> {
        let Self { forward, broken, only_matching, .. } = self;
        let zone = &reading.trail.zone;
        let read = forward.step(|offset, line| {
            let Some(line) = line else {
                broken.too_long += 1;
                return;
            };
            let read = if *only_matching {
                FileLine::read_if(offset, line, zone, |line| reading.filter.may_match(line))
            } else {
                Some(FileLine::read(offset, line, zone))
            };
            match read {
                Some(FileLine::Broken) => broken.line(line),
                Some(FileLine::Entry(entry)) => found(entry, offset),
                Some(FileLine::Blank) | None => {}
            }
        })?;
        self.bytes += read;
        if read == 0 {
            self.is_torn = self.forward.position() < self.len;
            self.complete = true;
        }
        Ok(read > 0 && !reading.is_spent(self.bytes))
    }
}

impl<C: CountCalls> Reading<'_, C> {
    fn took(&mut self, lines: &LineReader<'_>) -> bool {
        self.context.skipped.add(&lines.broken);
        self.context.skipped.torn += u64::from(lines.is_torn);
        self.context.scanned.bytes += lines.bytes;
        self.sources.files += 1;
        lines.complete
    }

    /// Counts the matching calls of a file whose rollup says which sightings do not count.
    pub(super) fn matching(
        &mut self,
        folder: &str,
        day: Date,
        file: (&dyn DiskFile, &Stat),
        mut rollup: FileRollup,
    ) -> io::Result<bool> {
        let edges = rollup.edges.iter().enumerate().map(|(n, seen)| (seen.offset, n)).collect::<HashMap<_, _>>();
        rollup.edges.iter_mut().for_each(|seen| seen.is_asked = false);
        let mut lines = LineReader::new(file, self.filter.has_needles());
        let mut matches = Vec::new();
        loop {
            let more = lines.step(self, |entry, offset| {
                if self.asks(&entry) {
                    matches.push(self.seen(&entry, offset, true));
                }
            })?;
            for seen in matches.drain(..) {
                match edges.get(&seen.offset) {
                    Some(edge) => rollup.edges[*edge] = seen,
                    None => {
                        self.counts.see(&seen.sighting);
                        if rollup.absorbed.binary_search(&seen.offset).is_err() {
                            self.counts.count(&seen.sighting);
                        }
                    }
                }
            }
            if !more {
                break;
            }
        }
        self.keep_edges(folder, day, rollup.edges);
        Ok(self.took(&lines))
    }

    /// Counts the calls of a file without a rollup. If entries that match have call ids, the whole file is read, because
    /// other sightings of these calls may not match.
    pub(super) fn whole_or_matching(
        &mut self,
        folder: &str,
        day: Date,
        file: (&dyn DiskFile, &Stat),
    ) -> io::Result<bool> {
        if !self.filter.has_needles() {
            return self.whole(folder, day, file);
        }
        let (mut matches, mut ids, mut has_call_id) = (Vec::new(), HashSet::new(), false);
        let mut lines = LineReader::new(file, true);
        loop {
            let more = lines.step(self, |entry, offset| {
                if self.asks(&entry) && id_of(&entry).is_none_or(|id| ids.insert(id)) {
                    let seen = self.seen(&entry, offset, true);
                    has_call_id |= seen.sighting.call_id.is_some();
                    matches.push(seen.sighting);
                }
            })?;
            if has_call_id || matches.len() > MATCHES_MAX {
                self.context.scanned.bytes += lines.bytes;
                return self.whole(folder, day, file);
            }
            if !more {
                break;
            }
        }
        for call in &matches {
            self.counts.see(call);
            self.counts.count(call);
        }
        Ok(self.took(&lines))
    }

    /// Counts the calls of a file by reading all of it.
    fn whole(&mut self, folder: &str, day: Date, file: (&dyn DiskFile, &Stat)) -> io::Result<bool> {
        let (settled, lines) = self.settled(file, day, |reading, seen| {
            reading.counts.see(&seen.sighting);
            reading.counts.count(&seen.sighting);
        })?;
        let seen = settled.counted.iter().chain(&settled.others).filter(|seen| seen.is_asked);
        seen.for_each(|seen| self.counts.see(&seen.sighting));
        let counted = settled.counted.iter().filter(|seen| seen.is_asked);
        counted.for_each(|seen| self.counts.count(&seen.sighting));
        self.keep_edges(folder, day, settled.edges);
        Ok(self.took(&lines))
    }

    /// Reads all lines of a file and returns the calls that have call ids. Calls `found_alone` with each other one that the
    /// question asks for.
    pub(super) fn settled<'f>(
        &mut self,
        file: (&'f dyn DiskFile, &Stat),
        day: Date,
        mut found_alone: impl FnMut(&mut Self, &Seen),
    ) -> io::Result<(Settled, LineReader<'f>)> {
        let (mut alone, mut sightings, mut ids) = (Vec::new(), Sightings::default(), HashSet::new());
        let mut lines = LineReader::new(file, false);
        loop {
            let more = lines.step(self, |entry, offset| {
                let is_new = |id| ids.len() >= IDS_MAX || ids.insert(id);
                if is_own(&entry) && !self.own || !id_of(&entry).is_none_or(is_new) {
                    return;
                }
                let is_asked = self.asks(&entry);
                if is_asked || entry.string("call_id").is_some_and(|call_id| !call_id.is_empty()) {
                    let seen = sightings.add(self.seen(&entry, offset, is_asked));
                    alone.extend(seen.filter(|seen| seen.is_asked));
                }
            })?;
            alone.drain(..).for_each(|seen| found_alone(self, &seen));
            if !more {
                return Ok((Settled::of(sightings, day), lines));
            }
        }
    }
}
