//! Day files open for appending: found again by name before each batch, as others may change them meanwhile.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::clock::Date;
use crate::day::End;
use crate::disk::{Disk, DiskFile, FileId, Stat};
use crate::home::{TRAIL_FOLDER, day_name};
use crate::record::parallel_map::parallel_map;
use crate::record::store::group::Day;

/// Threads that wait for files at once: a file system makes syncs that arrive together durable together.
pub(crate) const FILE_THREADS_MAX: usize = 16;

/// Files worth a thread of their own.
pub(crate) const FILES_PER_THREAD: usize = 4;

/// The day files that this process appends to.
#[derive(Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    handles: HashMap<Day, Handle>,
    handles_max: usize,
    /// Counts batches, to let go of what was not used for longest.
    turn: u64,
}

#[derive(Debug)]
struct Handle {
    file: Arc<dyn DiskFile>,
    file_id: FileId,
    len: u64,
    turn: u64,
}

/// What others did to a file since it was last appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing stands under its name.
    Removed,
    /// Another file does.
    Replaced,
    /// It lost bytes.
    Cut {
        /// Its length now.
        len: u64,
    },
}

/// A file at its end, and what was done to it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) day: Day,
    pub(crate) end: io::Result<End>,
    /// With how long it was before.
    pub(crate) change: Option<(Change, u64)>,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        let handles_max = disk.handles_max();
        Self { disk, handles: HashMap::new(), handles_max, turn: 0 }
    }

    /// Files that may be open at once.
    pub(crate) fn handles_max(&self) -> usize {
        self.handles_max
    }

    /// Opens files at their ends, in the order of the days. The caller holds the home's append lock.
    pub(crate) fn open(&mut self, days: Vec<Day>) -> Vec<Opened> {
        self.turn += 1;
        let found = days.into_iter().map(|day| {
            let known = self.known(&day);
            (day, known)
        });
        let found = found.collect::<Vec<_>>();
        let unknown = found.iter().filter(|(_, known)| !matches!(known, HandleState::Same(_))).count();
        let disk = &*self.disk;
        let open = |(day, known): (Day, HandleState)| match known {
            HandleState::Same(end) => Opened { day, end: Ok(end), change: None },
            // A new file is waited for until its name is durable.
            HandleState::Other(change) => Opened { end: End::open(disk, &day.0, day.1), day, change },
        };
        match unknown {
            0 => found.into_iter().map(open).collect(),
            _ => parallel_map(found, FILE_THREADS_MAX, FILES_PER_THREAD, open),
        }
    }

    /// Says what others did to a file that this process appended to up to a length.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn change(&self, day: &Day, file_id: FileId, len: u64) -> io::Result<Option<Change>> {
        Ok(changed(self.stat(day)?, file_id, len))
    }

    /// Remembers a file that was appended to, up to this length.
    pub(crate) fn appended(&mut self, day: &Day, file: &Arc<dyn DiskFile>, file_id: FileId, len: u64) {
        if let Some(handle) = self.handles.get_mut(day) {
            *handle = Handle { file: Arc::clone(file), file_id, len, turn: self.turn };
            return;
        }
        if self.handles.len() >= self.handles_max {
            self.let_go();
        }
        self.handles.insert(day.clone(), Handle { file: Arc::clone(file), file_id, len, turn: self.turn });
    }

    /// Closes the files of days that are over, but for those that are held; returns which.
    ///
    /// They hardly grow any more, and a file that is pruned takes its space for as long as somebody has it open.
    pub(crate) fn close_past(&mut self, today: Date, is_held: impl Fn(&Day) -> bool) -> Vec<Day> {
        let past = self.handles.keys().filter(|day| day.1 < today && !is_held(day)).cloned().collect::<Vec<_>>();
        past.iter().for_each(|day| self.forget(day));
        past
    }

    /// Forgets a file of which nobody knows what it holds.
    pub(crate) fn forget(&mut self, day: &Day) {
        self.handles.remove(day);
    }

    fn known(&self, day: &Day) -> HandleState {
        let Some(handle) = self.handles.get(day) else { return HandleState::Other(None) };
        match self.stat(day) {
            Ok(Some(stat)) if (stat.file_id(), stat.len, stat.links) == (handle.file_id, handle.len, 1) => {
                HandleState::Same(End {
                    file: Arc::clone(&handle.file),
                    file_id: handle.file_id,
                    len: handle.len,
                    is_torn: false,
                })
            }
            Ok(stat) => {
                HandleState::Other(changed(stat, handle.file_id, handle.len).map(|change| (change, handle.len)))
            }
            // Opening it says it better.
            Err(_) => HandleState::Other(None),
        }
    }

    fn stat(&self, day: &Day) -> io::Result<Option<Stat>> {
        self.disk.stat(&[&day.0, TRAIL_FOLDER, &day_name(day.1)])
    }

    /// Closes the half that was not used for longest: so a batch of many files does not close one for each it opens.
    fn let_go(&mut self) {
        let mut turns = self.handles.values().map(|handle| handle.turn).collect::<Vec<_>>();
        let middle = turns.len() / 2;
        let (_, middle, _) = turns.select_nth_unstable(middle);
        let middle = *middle;
        self.handles.retain(|_, handle| handle.turn > middle);
    }
}

enum HandleState {
    Same(End),
    Other(Option<(Change, u64)>),
}

fn changed(stat: Option<Stat>, file_id: FileId, len: u64) -> Option<Change> {
    match stat {
        None => Some(Change::Removed),
        Some(stat) if stat.file_id() != file_id => Some(Change::Replaced),
        Some(stat) if stat.len < len => Some(Change::Cut { len: stat.len }),
        Some(_) => None,
    }
}
