//! Counts the calls near midnight, whose sightings may be in the files of two days.
//!
//! Sightings are only joined with those of the same midnight, so what counts does not depend on the other days that a
//! question asks for. Where a question asks for one of them, those on the other side of midnight are read too, also if
//! the question does not ask for that day.

use std::io;

use super::counting::{CountCalls, Grain};
use super::midnights::Midnights;
use super::reading::Reading;
use crate::clock::Date;
use crate::read::DayFile;
use crate::rollup::{Seen, Sightings};

/// The most sightings that wait for the files of the day before, about 200 bytes each. Further ones are compared with
/// those of their own file only.
const EDGES_MAX: usize = 300_000;

impl<C: CountCalls> Reading<'_, C> {
    /// Keeps all sightings near midnight of a file until those of the other side are known.
    pub(super) fn keep_edges(&mut self, folder: &str, day: Date, edges: Vec<Seen>) {
        if self.midnights.count + edges.len() > EDGES_MAX {
            self.count_together(edges);
            return;
        }
        self.midnights.known.insert((day, folder.to_owned()));
        self.midnights.add(folder, day, edges);
    }

    /// Counts the calls near the midnights after a date: all files from this date on were read. Without a date, those of
    /// all midnights. Returns whether all that it needs could be read.
    pub(super) fn count_midnights(&mut self, after: Option<Date>) -> bool {
        let edges = &mut self.midnights.edges;
        let later = match after {
            Some(day) => edges.split_off(&(day.plus_days(1), String::new())),
            None => std::mem::take(edges),
        };
        self.midnights.count = edges.values().map(Vec::len).sum();
        let complete = later.into_iter().fold(true, |complete, ((midnight, folder), edges)| {
            self.count_midnight(midnight, &folder, edges) && complete
        });
        self.midnights.known.retain(|(known, _)| after.is_some_and(|day| *known <= day));
        complete
    }

    fn count_midnight(&mut self, midnight: Date, folder: &str, mut edges: Vec<(Date, Seen)>) -> bool {
        let mut complete = true;
        if !edges.iter().any(|(_, seen)| seen.is_asked) {
            return complete;
        }
        for day in [midnight.plus_days(-1), midnight] {
            if !self.midnights.known.contains(&(day, folder.to_owned())) {
                let (found, is_all) = self.other_side(folder, day);
                let mut side = Midnights::default();
                side.add(folder, day, found);
                edges.extend(side.edges.remove(&(midnight, folder.to_owned())).unwrap_or_default());
                complete &= is_all;
            }
        }
        edges.sort_by_key(|(day, seen)| (*day, seen.offset));
        self.count_together(edges.into_iter().map(|(_, seen)| seen).collect());
        complete
    }

    /// Counts the calls that these sightings are.
    fn count_together(&mut self, edges: Vec<Seen>) {
        edges.iter().filter(|seen| seen.is_asked).for_each(|seen| self.counts.see(&seen.sighting));
        let mut calls = Sightings::default();
        let alone = edges.into_iter().filter_map(|seen| calls.add(seen)).collect::<Vec<_>>();
        let joined = calls.into_calls().map(|call| call.best);
        for seen in alone.into_iter().chain(joined).filter(|seen| seen.is_asked) {
            self.counts.count(&seen.sighting);
        }
    }

    /// Returns the sightings near midnight of a file that the question does not ask for, and whether all of it was read.
    fn other_side(&mut self, folder: &str, day: Date) -> (Vec<Seen>, bool) {
        let path = DayFile::new(folder, day, &self.trail.zone);
        let disk = &**self.trail.home.disk();
        let unreadable = &mut self.context.unreadable;
        let opened = path.with_path(|path| unreadable.or_none(path, disk.open(path)).flatten());
        let Some(file) = opened else { return (Vec::new(), true) };
        let read = (|| -> io::Result<(Vec<Seen>, bool)> {
            let stat = file.stat()?;
            if let Some(rolled) = self.rollup(folder, day, (&*file, &stat), Grain::Call)? {
                return Ok((rolled.rollup.edges, rolled.complete));
            }
            let (settled, lines) = self.settled((&*file, &stat), day, |_, _| {})?;
            self.context.scanned.bytes += lines.bytes;
            Ok((settled.edges, lines.complete))
        })();
        let read = path.with_path(|path| self.context.unreadable.or_none(path, read));
        let (mut edges, complete) = read.unwrap_or_default();
        edges.iter_mut().for_each(|seen| seen.is_asked = false);
        (edges, complete)
    }
}
