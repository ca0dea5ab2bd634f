//! Finds the first use of each tool, server and client by each user, in the rollups and in what they do not cover.

use std::io;

use super::DayFile;
use super::locate::Owned;
use super::scan::ScanContext;
use super::trail::Trail;
use crate::clock::Date;
use crate::day::Forward;
use crate::disk::{DiskFile, Stat};
use crate::error::Error;
use crate::query::{FirstKind, FirstUses, Line};
use crate::rollup::{DayRollups, FileLine, Part, is_current, is_own};

/// The most bytes of a line that is read again for its id; an entry that is longer is compared by its time alone.
const LINE_BYTES: usize = 64 * 1024;

impl Trail {
    /// Returns of what an entry is the first use by its user: of its tool, its server, its client. Empty if that is not
    /// known, because the trail is too large to be read within the bounds of an answer.
    ///
    /// # Errors
    /// As [`Trail::recent`].
    pub fn firsts_of(&self, line: &str) -> Result<Vec<FirstKind>, Error> {
        let Some(entry) = Line::parse(line, &self.zone).filter(|entry| !is_own(entry)) else { return Ok(Vec::new()) };
        let mut context = ScanContext::new(&self.home, &self.zone);
        let owned = Owned::by(&entry.string("user").unwrap_or_default(), false);
        let (firsts, is_all) = self.first_uses(Some(&owned), &mut context)?;
        let found = FirstKind::ALL.into_iter().filter(|kind| is_all && firsts.has(&entry, *kind));
        Ok(found.collect())
    }

    /// Returns the first uses by one user, or by all. Also returns whether all of the trail was read: if not,
    /// the newest part is missing.
    ///
    /// # Errors
    /// As [`Trail::recent`].
    pub(crate) fn first_uses(
        &self,
        owned: Option<&Owned>,
        context: &mut ScanContext<'_>,
    ) -> Result<(FirstUses, bool), Error> {
        let folders = self.folders(owned, &mut context.unreadable)?;
        let files = folders.iter().flat_map(|folder| folder.days.iter().map(move |day| (*day, &*folder.name)));
        let mut files = files.collect::<Vec<_>>();
        files.sort_unstable();
        let (bound, begun) = (self.bounds.stats, self.clock.monotonic());
        let (mut firsts, mut rollups) = (FirstUses::default(), None::<(Date, DayRollups)>);
        for (day, folder) in files {
            let is_spent = context.scanned.bytes >= bound.bytes_max
                || self.clock.monotonic() - begun >= bound.time_max
                || self.cancel.is_cancelled();
            if is_spent {
                return Ok((firsts, false));
            }
            if rollups.as_ref().is_none_or(|(date, _)| *date != day) {
                rollups = DayRollups::open(&**self.home.disk(), day).ok().map(|rollups| (day, rollups));
            }
            let rollups = rollups.as_ref().map(|(_, rollups)| rollups);
            DayFile::new(folder, day, &self.zone).with_path(|path| {
                let read = self.home.disk().open(path).and_then(|file| {
                    let Some(file) = file else { return Ok(0) };
                    self.add_firsts((&*file, &file.stat()?), folder, rollups, &mut firsts)
                });
                context.scanned.bytes += context.unreadable.or_none(path, read).unwrap_or(0);
            });
        }
        Ok((firsts, true))
    }

    /// Adds the first uses of a file. Returns how many bytes were read.
    fn add_firsts(
        &self,
        (file, stat): (&dyn DiskFile, &Stat),
        folder: &str,
        rollups: Option<&DayRollups>,
        firsts: &mut FirstUses,
    ) -> io::Result<u64> {
        let mut from = 0;
        if let Some((rollups, entry)) = rollups.and_then(|rollups| Some((rollups, rollups.entries.get(folder)?)))
            && entry.unfit_len == 0
            && is_current(&entry.covered, file, stat)?
            && let Some((rollup, _)) = rollups.read(entry, &[Part::Days]).ok().flatten()
        {
            for ((user, kind, name), (ts_ms, offset)) in &rollup.firsts {
                let names = &rollup.cells.names;
                firsts.add(names.name(*user), (*kind, names.name(*name)), *ts_ms, || self.id_at(file, *offset));
            }
            from = entry.covered.len;
        }
        let (mut forward, mut bytes) = (Forward::new(file, from, stat.len), 0);
        loop {
            let read = forward.step(|offset, line| {
                let read = line.map(|line| FileLine::read(offset, line, &self.zone));
                if let Some(FileLine::Entry(entry)) =
                    read.filter(|read| !matches!(read, FileLine::Entry(entry) if is_own(entry)))
                {
                    let user = entry.string("user").unwrap_or_default();
                    for kind in FirstKind::ALL {
                        let Some(name) = kind.of(&entry) else { continue };
                        firsts.add(&user, (kind, &name), entry.ts.as_millis(), || id(&entry));
                    }
                }
            })?;
            bytes += read;
            if read == 0 {
                return Ok(bytes);
            }
        }
    }

    /// Returns the id of the entry at an offset.
    fn id_at(&self, file: &dyn DiskFile, offset: u64) -> Option<String> {
        let mut bytes = vec![0; LINE_BYTES];
        let read = file.read_at(&mut bytes, offset).ok()?;
        let end = memchr::memchr(b'\n', &bytes[..read])?;
        match FileLine::read(offset, &bytes[..end], &self.zone) {
            FileLine::Entry(entry) => id(&entry),
            FileLine::Blank | FileLine::Broken => None,
        }
    }
}

fn id(entry: &Line<'_>) -> Option<String> {
    entry.string("id").map(|id| id.into_owned())
}
