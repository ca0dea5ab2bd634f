//! The day files that are open for appending. Before each batch, each file is checked under its name, because another
//! program may have changed it meanwhile.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::clock::Date;
use crate::day::End;
use crate::disk::{Disk, DiskFile, FileId, Stat};
use crate::home::{TRAIL_FOLDER, day_name};
use crate::record::parallel_map::parallel_map;
use crate::record::store::group::Day;

/// The most threads that work on files at once. A file system can combine syncs that arrive together.
pub(crate) const FILE_THREADS_MAX: usize = 16;

/// The number of files for which one more thread is started.
pub(crate) const FILES_PER_THREAD: usize = 4;

/// The day files that this process appends to.
#[derive(Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    handles: HashMap<Day, Handle>,
    handles_max: usize,
    /// Counts batches, to find the files that were not used for the longest time.
    turn: u64,
}

#[derive(Debug)]
struct Handle {
    file: Arc<dyn DiskFile>,
    file_id: FileId,
    len: u64,
    turn: u64,
}

/// What another program did to a file since this process last appended to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The name no longer exists.
    Removed,
    /// The name refers to another file.
    Replaced,
    /// The file is shorter than before.
    Cut {
        /// The length now.
        len: u64,
    },
}

/// The result of opening a file at its end.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) day: Day,
    pub(crate) end: io::Result<End>,
    /// What another program did to the file, with its length before.
    pub(crate) change: Option<(Change, u64)>,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        let handles_max = disk.handles_max();
        Self { disk, handles: HashMap::new(), handles_max, turn: 0 }
    }

    /// Returns the most files that may be open at once.
    pub(crate) fn handles_max(&self) -> usize {
        self.handles_max
    }

    /// Opens files at their ends and returns them in the order of `days`. The caller holds the home's append lock.
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
            // If the file is new, this waits until its name is durable.
            HandleState::Other(change) => Opened { end: End::open(disk, &day.0, day.1), day, change },
        };
        match unknown {
            0 => found.into_iter().map(open).collect(),
            _ => parallel_map(found, FILE_THREADS_MAX, FILES_PER_THREAD, open),
        }
    }

    /// Returns what another program did to a file that this process appended to up to length `len`.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn change(&self, day: &Day, file_id: FileId, len: u64) -> io::Result<Option<Change>> {
        Ok(changed(self.stat(day)?, file_id, len))
    }

    /// Remembers a file that was appended to up to this length.
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

    /// Closes the files of past days for which `is_held` is false. Returns their days.
    ///
    /// These files hardly grow any more, and the space of a pruned file is not freed while the file is open.
    pub(crate) fn close_past(&mut self, today: Date, is_held: impl Fn(&Day) -> bool) -> Vec<Day> {
        let past = self.handles.keys().filter(|day| day.1 < today && !is_held(day)).cloned().collect::<Vec<_>>();
        past.iter().for_each(|day| self.forget(day));
        past
    }

    /// Closes a file whose content is no longer known.
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
            // Opening the file reports the problem with a better message.
            Err(_) => HandleState::Other(None),
        }
    }

    fn stat(&self, day: &Day) -> io::Result<Option<Stat>> {
        self.disk.stat(&[&day.0, TRAIL_FOLDER, &day_name(day.1)])
    }

    /// Closes the half of the files that was not used for the longest time. If only one were closed, a batch of many
    /// files would close one file for each file that it opens.
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
