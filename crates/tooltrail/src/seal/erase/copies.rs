//! What other files of a home hold of erased entries: journals, fragments of damage, and calls that have not ended.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use aho_corasick::AhoCorasick;

use crate::changes::Day;
use crate::clock::Timestamp;
use crate::disk::Disk;
use crate::home::{Home, OWN_FOLDER};
use crate::journal::{request_zeros, segments_with, zero_unowned};
use crate::record::forget_sessions;
use crate::seal::erase::select::{EraseWhat, Selected, Wanted, folders_of};

/// The most ids that are searched for: what a journal can hold, and some more.
const IDS_MAX: usize = 200_000;

/// How often, and with which pause, it is looked whether the processes at work have overwritten their journals.
const TRIES: usize = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// What to look for.
#[derive(Debug)]
pub(super) struct Copies<'a> {
    what: &'a EraseWhat,
    now: Timestamp,
    ids: Vec<String>,
    folders: BTreeSet<String>,
}

/// What became of the copies.
#[derive(Debug, Default)]
pub(super) struct Cleared {
    /// The calls that had begun and were not recorded yet.
    pub(super) calls: u64,
    /// The journals that still hold copies, because their processes do not answer.
    pub(super) left_in: Vec<String>,
}

impl<'a> Copies<'a> {
    pub(super) fn of(what: &'a EraseWhat, selected: &Selected, now: Timestamp) -> Self {
        let of_lines = selected.lines.values().flatten().filter_map(|line| line.id.clone());
        let mut ids = of_lines.chain(selected.ids.iter().cloned()).collect::<Vec<_>>();
        // The newest ids are those that a journal may still hold.
        ids.sort_unstable();
        ids.drain(..ids.len().saturating_sub(IDS_MAX));
        let mut folders = selected.folders.clone();
        if let EraseWhat::User { user, day: None } = what {
            folders.extend(folders_of(user));
        }
        Self { what, now, ids, folders }
    }

    /// Removes the copies.
    pub(super) fn clear(&self, home: &Home) -> io::Result<Cleared> {
        let disk = &**home.disk();
        let finder = AhoCorasick::new(&self.ids).map_err(io::Error::other)?;
        let wanted = Wanted::new(self.what, self.now);
        let has_id = |line: &[u8]| !self.ids.is_empty() && finder.is_match(line);
        let calls = forget_sessions(disk, |day, line| self.is_of(day) || has_id(line) || wanted.matches(line))?;
        self.clear_fragments(disk, &finder)?;
        request_zeros(disk)?;
        let mut left = Vec::new();
        for _ in 0..TRIES {
            zero_unowned(disk)?;
            left = if self.ids.is_empty() { Vec::new() } else { segments_with(disk, |bytes| finder.is_match(bytes))? };
            if left.is_empty() {
                break;
            }
            disk.pause(PAUSE);
        }
        Ok(Cleared { calls, left_in: left })
    }

    /// Whether everything of a day file goes.
    fn is_of(&self, (folder, date): &Day) -> bool {
        self.folders.contains(folder)
            || matches!(self.what, EraseWhat::User { user, day: Some(day) } if day == date && folders_of(user).contains(folder))
    }

    fn clear_fragments(&self, disk: &dyn Disk, finder: &AhoCorasick) -> io::Result<()> {
        let mut has_removed = false;
        for listed in disk.list(&[OWN_FOLDER, "fragments"])? {
            let path = [OWN_FOLDER, "fragments", &*listed.name];
            let Some(file) = disk.open(&path)? else { continue };
            let mut bytes = vec![0; usize::try_from(file.stat()?.len).map_err(io::Error::other)?];
            let read = file.read_at(&mut bytes, 0)?;
            let is_of_folder = self.folders.iter().any(|folder| listed.name.ends_with(&format!(".{folder}")));
            if is_of_folder || (!self.ids.is_empty() && finder.is_match(&bytes[..read])) {
                disk.remove(&path)?;
                has_removed = true;
            }
        }
        if has_removed { disk.sync_folder(&[OWN_FOLDER, "fragments"]) } else { Ok(()) }
    }
}
