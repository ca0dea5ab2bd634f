//! A simulated disk in memory. It models the page cache: processes can be killed and the power can fail at any
//! operation, and blocks can be torn or lost.
//!
//! Data that was written but not synced survives a kill; after a power cut, each of its blocks may or may not survive.
//! A sync that fails discards its data, so that the next sync succeeds without having written it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::foreign_processes::{ForeignProcesses, STOPPED};
use crate::histories::START_MS;
use tooltrail::disk::{Disk, DiskFile, Landed, Listed, Lock, Space, Stat};

/// The number of bytes that are written completely or not at all.
const BLOCK: usize = 512;

/// The disk of a simulated machine.
#[derive(Debug, Default)]
pub(crate) struct Machine(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<String, u64>,
    /// Removed names whose folder has not been synced since.
    unlinked: BTreeMap<String, u64>,
    contents: BTreeMap<u64, Content>,
    locks: BTreeMap<String, u64>,
    dead: BTreeSet<u64>,
    /// Processes of another uid, which may not access the home because only its owner may.
    strangers: BTreeSet<u64>,
    next: u64,
    boots: u64,
    operations: u64,
    /// The operation at which a process is killed or the power is cut, and which of the two.
    kill_at: Option<(u64, Kill)>,
    /// Ranges of operations that fail, and how they fail.
    fails: Vec<(std::ops::Range<u64>, Fails)>,
    dice: Dice,
    killed: Option<Kill>,
    around: ForeignProcesses,
}

/// How an operation ends the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kill {
    /// Kills the process that runs the operation.
    Process,
    /// Cuts the power of the machine.
    Power,
}

/// A kind of disk failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fails {
    /// Operations that need new space fail.
    Space,
    /// Writes and syncs fail.
    Device,
    /// Only syncs fail.
    Sync,
}

#[derive(Debug, Default)]
struct Content {
    cache: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    /// The number of failed syncs; each open file reports each failure once.
    failed: u64,
}

impl Content {
    /// Marks the blocks of a range as dirty: the cache has the file's content, and only dirty blocks may differ on the
    /// disk.
    fn change(&mut self, from: usize, to: usize) {
        self.dirty.extend(from / BLOCK..=to.max(from + 1).saturating_sub(1) / BLOCK);
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.cache.len() < end {
            self.cache.resize(end, 0);
        }
        self.cache[offset..end].copy_from_slice(bytes);
        self.change(offset, end);
    }

    /// Writes a block of the cache to the disk.
    fn keep(&mut self, block: usize) {
        let (from, to) = (block * BLOCK, ((block + 1) * BLOCK).min(self.cache.len()));
        if from < to {
            if self.durable.len() < to {
                self.durable.resize(to, 0);
            }
            self.durable[from..to].copy_from_slice(&self.cache[from..to]);
        }
    }

    fn sync(&mut self) {
        for block in std::mem::take(&mut self.dirty) {
            self.keep(block);
        }
        self.resize();
    }

    /// Sets the length of the file on the disk to the length in the cache.
    fn resize(&mut self) {
        let length = self.cache.len();
        self.durable.resize(length, 0);
    }

    fn lose_sync(&mut self, dice: &mut Dice) {
        for block in std::mem::take(&mut self.dirty) {
            if dice.below(2) == 0 {
                self.keep(block);
            }
        }
    }

    /// Reduces the file to what is left after a power cut.
    fn cut_power(&mut self, dice: &mut Dice) {
        let before = self.durable.len();
        for block in std::mem::take(&mut self.dirty) {
            if dice.below(2) == 0 {
                self.keep(block);
            }
        }
        match dice.below(4) {
            // The length was written; the blocks may be missing.
            0 | 1 => self.resize(),
            2 => {
                let (least, most) = (before.min(self.cache.len()), self.durable.len().max(self.cache.len()));
                let length = least + usize::try_from(dice.below((most - least + 1) as u64)).unwrap();
                self.durable.resize(length, 0);
            }
            _ => self.durable.resize(before, 0),
        }
        self.cache = self.durable.clone();
    }
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let machine = Self::default();
        machine.inner().dice = Dice(seed);
        Arc::new(machine)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Starts a process and returns its view of the disk.
    pub(crate) fn process(self: &Arc<Self>) -> Arc<SimDisk> {
        let mut inner = self.inner();
        inner.next += 1;
        Arc::new(SimDisk { machine: Arc::clone(self), process: inner.next })
    }

    /// Starts a process of another uid, which may not access the home.
    pub(crate) fn stranger(self: &Arc<Self>) -> Arc<SimDisk> {
        let disk = self.process();
        self.inner().strangers.insert(disk.process);
        disk
    }

    /// Plans a kill or power cut after this number of operations.
    pub(crate) fn kill_after(&self, operations: u64, kill: Kill) {
        let mut inner = self.inner();
        inner.kill_at = Some((inner.operations + operations, kill));
        inner.killed = None;
    }

    /// Plans failures of `count` operations, which start after `operations` operations.
    pub(crate) fn fail_after(&self, operations: u64, count: u64, fails: Fails) {
        let mut inner = self.inner();
        let from = inner.operations + operations;
        inner.fails.push((from..from + count, fails));
    }

    /// Cancels everything that was planned and returns the kill that happened, if any.
    pub(crate) fn calm(&self) -> Option<Kill> {
        let mut inner = self.inner();
        inner.fails.clear();
        inner.kill_at = None;
        inner.around.end();
        inner.locks.retain(|_, owner| *owner != STOPPED);
        inner.killed.take()
    }

    /// Lets a foreign writer append lines to a day file in pieces, between our operations.
    pub(crate) fn write_in_pieces(&self, seed: u64, path: &str, lines: u64) {
        self.inner().around.write(seed, path, lines);
    }

    /// Denies access below a path to all processes, until [`Machine::calm`].
    pub(crate) fn deny(&self, path: &str) {
        self.inner().around.deny(path);
    }

    /// Simulates a foreign process that holds a lock until [`Machine::calm`]. Returns false if one of our processes has
    /// the lock.
    pub(crate) fn hold(&self, lock: &str) -> bool {
        let mut inner = self.inner();
        *inner.locks.entry(lock.to_owned()).or_insert(STOPPED) == STOPPED
    }

    /// Returns the marks of a foreign writer that are no longer in any file.
    pub(crate) fn lost_marks(&self) -> Vec<String> {
        let inner = self.inner();
        let texts =
            inner.files.values().map(|content| String::from_utf8_lossy(&inner.contents[content].cache).into_owned());
        let all = texts.collect::<String>();
        inner.around.marks().into_iter().filter(|mark| !all.contains(mark.as_str())).collect()
    }

    /// Cuts the power now, unless it was already cut: all processes end, and data that was not synced may be lost.
    pub(crate) fn cut_power(&self) {
        let mut inner = self.inner();
        inner.cut_power();
    }

    /// Returns all day files.
    pub(crate) fn day_files(&self) -> Vec<(String, Vec<u8>)> {
        let inner = self.inner();
        let days = inner.files.iter().filter(|(path, _)| path.contains("/tool_audit/"));
        days.map(|(path, content)| (path.clone(), inner.contents[content].cache.clone())).collect()
    }

    /// Returns all files, including those of other programs.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let inner = self.inner();
        inner.files.iter().map(|(path, content)| (path.clone(), inner.contents[content].cache.clone())).collect()
    }

    /// Returns the names of all files in a folder.
    pub(crate) fn names_in(&self, folder: &str) -> Vec<String> {
        let inner = self.inner();
        inner.files.keys().filter_map(|path| path.strip_prefix(folder)).map(str::to_owned).collect()
    }

    /// Returns the number of operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.inner().operations
    }
}

impl Inner {
    fn cut_power(&mut self) {
        let mut dice = self.dice.clone();
        self.contents.values_mut().for_each(|content| content.cut_power(&mut dice));
        for (name, content) in std::mem::take(&mut self.unlinked) {
            if dice.below(2) == 0 {
                self.files.entry(name).or_insert(content);
            }
        }
        self.dice = dice;
        self.locks.clear();
        self.dead.extend(1..=self.next);
        self.boots += 1;
    }

    /// Counts an operation that changes something. A planned kill may happen before it, or in the middle of a write.
    fn act(&mut self, process: u64) -> io::Result<Act> {
        self.alive(process)?;
        self.operations += 1;
        if let Some((_, kill)) = self.kill_at.filter(|(at, _)| self.operations >= *at) {
            (self.kill_at, self.killed) = (None, Some(kill));
            return Ok(Act::Killed(kill));
        }
        let now = self.operations;
        let fails = self.fails.iter().find(|(when, _)| when.contains(&now)).map(|(_, fails)| *fails);
        Ok(fails.map_or(Act::Goes, Act::Fails))
    }

    /// Lets the foreign writer append its next piece, if it is its turn.
    fn others_write(&mut self) {
        if let Some((path, bytes)) = self.around.piece()
            && let Some(content) = self.files.get(&path).copied()
            && let Some(file) = self.contents.get_mut(&content)
        {
            let end = file.cache.len();
            file.write(&bytes, end);
            self.around.appended.push(bytes);
        }
    }

    fn alive(&self, process: u64) -> io::Result<()> {
        match () {
            () if self.dead.contains(&process) => Err(io::Error::other("killed")),
            () if self.strangers.contains(&process) => Err(io::ErrorKind::PermissionDenied.into()),
            () => Ok(()),
        }
    }

    fn end(&mut self, process: u64, kill: Kill) -> io::Error {
        match kill {
            Kill::Power => self.cut_power(),
            Kill::Process => {
                self.dead.insert(process);
                self.locks.retain(|_, owner| *owner != process);
            }
        }
        io::Error::other("killed")
    }

    /// Writes bytes, or only the part that was written before a kill or failure.
    fn write(&mut self, process: u64, content: u64, bytes: &[u8], offset: usize) -> io::Result<usize> {
        let act = self.act(process)?;
        let part = usize::try_from(self.dice.below(bytes.len() as u64 + 1)).unwrap();
        let grows = offset + bytes.len() > self.contents[&content].cache.len();
        let file = self.contents.get_mut(&content).unwrap();
        match act {
            Act::Goes | Act::Fails(Fails::Sync) => {
                // Sometimes the system writes only a part.
                let taken = if part % 13 == 0 && part > 0 { part } else { bytes.len() };
                file.write(&bytes[..taken], offset);
                Ok(taken)
            }
            Act::Killed(kill) => {
                file.write(&bytes[..part], offset);
                Err(self.end(process, kill))
            }
            Act::Fails(Fails::Space) if !grows => {
                file.write(bytes, offset);
                Ok(bytes.len())
            }
            Act::Fails(fails) => {
                // The last write before a disk is full is short; the next write fails.
                if part % 3 == 0 && part > 0 && fails == Fails::Space {
                    file.write(&bytes[..part], offset);
                    return Ok(part);
                }
                Err(fails.error())
            }
        }
    }
}

enum Act {
    Goes,
    Fails(Fails),
    Killed(Kill),
}

impl Fails {
    fn error(self) -> io::Error {
        match self {
            Self::Space => io::ErrorKind::StorageFull.into(),
            Self::Device | Self::Sync => io::Error::other("input/output error"),
        }
    }
}

/// The view of one process on the machine's disk.
#[derive(Debug)]
pub(crate) struct SimDisk {
    machine: Arc<Machine>,
    process: u64,
}

impl SimDisk {
    fn file(&self, path: &[&str], make: bool, appends: bool) -> io::Result<Option<Box<dyn DiskFile>>> {
        let name = path.join("/");
        let mut inner = self.machine.inner();
        inner.alive(self.process)?;
        if inner.around.denies(&name) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let content = match inner.files.get(&name) {
            Some(content) => *content,
            None if !make => return Ok(None),
            None => {
                match inner.act(self.process)? {
                    Act::Goes | Act::Fails(Fails::Sync) => {}
                    Act::Fails(fails) => return Err(fails.error()),
                    Act::Killed(kill) => return Err(inner.end(self.process, kill)),
                }
                inner.next += 1;
                let content = inner.next;
                inner.files.insert(name, content);
                inner.contents.insert(content, Content::default());
                content
            }
        };
        let (machine, process) = (Arc::clone(&self.machine), self.process);
        let heard = AtomicU64::new(inner.contents[&content].failed);
        Ok(Some(Box::new(SimFile { machine, process, content, appends, heard })))
    }
}

impl Disk for SimDisk {
    fn list(&self, folder: &[&str]) -> io::Result<Vec<Listed>> {
        let inner = self.machine.inner();
        inner.alive(self.process)?;
        let below = folder.iter().map(|name| format!("{name}/")).collect::<String>();
        if inner.around.denies(&below) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut names = BTreeSet::new();
        for rest in inner.files.keys().filter_map(|path| path.strip_prefix(&below)) {
            let (name, folder) = rest.split_once('/').map_or((rest, false), |(name, _)| (name, true));
            names.insert(Listed { name: name.to_owned(), folder });
        }
        Ok(names.into_iter().collect())
    }

    fn open(&self, file: &[&str]) -> io::Result<Option<Box<dyn DiskFile>>> {
        self.file(file, false, false)
    }

    fn stat(&self, file: &[&str]) -> io::Result<Option<Stat>> {
        let inner = self.machine.inner();
        inner.alive(self.process)?;
        let content = inner.files.get(&file.join("/"));
        let stat = |content: &u64| Stat {
            len: inner.contents[content].cache.len() as u64,
            device: 1,
            inode: *content,
            links: 1,
            modified_s: START_MS / 1_000,
            modified_ns: 0,
            changed_ns: 0,
        };
        Ok(content.map(stat))
    }

    fn append(&self, file: &[&str]) -> io::Result<Box<dyn DiskFile>> {
        self.file(file, true, true)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&self, file: &[&str]) -> io::Result<Box<dyn DiskFile>> {
        self.file(file, true, false)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn replace(&self, file: &[&str], bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.machine.inner();
        match inner.act(self.process)? {
            Act::Goes => {}
            Act::Fails(fails) => return Err(fails.error()),
            Act::Killed(kill) => return Err(inner.end(self.process, kill)),
        }
        inner.next += 1;
        let content = inner.next;
        let whole = Content { cache: bytes.to_vec(), durable: bytes.to_vec(), dirty: BTreeSet::new(), failed: 0 };
        inner.contents.insert(content, whole);
        inner.files.insert(file.join("/"), content);
        Ok(())
    }

    fn create(&self, file: &[&str], bytes: &[u8], sync: bool) -> io::Result<bool> {
        let mut inner = self.machine.inner();
        match inner.act(self.process)? {
            Act::Goes => {}
            Act::Fails(fails) => return Err(fails.error()),
            Act::Killed(kill) => return Err(inner.end(self.process, kill)),
        }
        let name = file.join("/");
        if inner.files.contains_key(&name) {
            return Ok(false);
        }
        inner.next += 1;
        let id = inner.next;
        let mut content = Content::default();
        content.write(bytes, 0);
        if sync {
            content.sync();
        }
        inner.contents.insert(id, content);
        inner.files.insert(name, id);
        Ok(true)
    }

    fn rename(&self, file: &[&str], to: &[&str]) -> io::Result<bool> {
        let mut inner = self.machine.inner();
        match inner.act(self.process)? {
            Act::Goes | Act::Fails(Fails::Sync | Fails::Space) => {}
            Act::Fails(fails) => return Err(fails.error()),
            Act::Killed(kill) => return Err(inner.end(self.process, kill)),
        }
        let Some(content) = inner.files.remove(&file.join("/")) else { return Ok(false) };
        inner.files.insert(to.join("/"), content);
        Ok(true)
    }

    fn remove_folder(&self, _folder: &[&str]) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, file: &[&str]) -> io::Result<()> {
        let mut inner = self.machine.inner();
        match inner.act(self.process)? {
            Act::Goes | Act::Fails(Fails::Sync | Fails::Space) => {}
            Act::Fails(fails) => return Err(fails.error()),
            Act::Killed(kill) => return Err(inner.end(self.process, kill)),
        }
        let name = file.join("/");
        if let Some(content) = inner.files.remove(&name) {
            inner.unlinked.insert(name, content);
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &[&str]) -> io::Result<()> {
        let mut inner = self.machine.inner();
        match inner.act(self.process)? {
            Act::Goes | Act::Fails(Fails::Space) => {}
            Act::Fails(fails) => return Err(fails.error()),
            Act::Killed(kill) => return Err(inner.end(self.process, kill)),
        }
        let below = folder.iter().map(|name| format!("{name}/")).collect::<String>();
        inner.unlinked.retain(|name, _| !name.starts_with(&below));
        Ok(())
    }

    fn lock(&self, file: &[&str], wait: Duration) -> io::Result<Box<dyn Lock>> {
        let (name, begun) = (file.join("/"), Instant::now());
        let mut inner = self.machine.inner();
        // Waits only for locks of the same process, because only its other threads run meanwhile; other processes do
        // not run in these tests.
        while inner.locks.get(&name) == Some(&self.process) && begun.elapsed() < wait {
            drop(inner);
            std::thread::yield_now();
            inner = self.machine.inner();
        }
        inner.alive(self.process)?;
        if inner.locks.contains_key(&name) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        inner.locks.insert(name.clone(), self.process);
        Ok(Box::new(SimLock { machine: Arc::clone(&self.machine), name, process: self.process }))
    }

    fn stands(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn space(&self) -> io::Result<Option<Space>> {
        Ok(None)
    }

    fn handles_max(&self) -> usize {
        2
    }

    fn boot(&self) -> Option<String> {
        Some(format!("boot {}", self.machine.inner().boots))
    }

    fn pause(&self, _time: Duration) {}
}

#[derive(Debug)]
struct SimLock {
    machine: Arc<Machine>,
    name: String,
    process: u64,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut inner = self.machine.inner();
        if inner.locks.get(&self.name) == Some(&self.process) {
            inner.locks.remove(&self.name);
        }
    }
}

#[derive(Debug)]
struct SimFile {
    machine: Arc<Machine>,
    process: u64,
    content: u64,
    appends: bool,
    /// The number of failed syncs that this open file has reported.
    heard: AtomicU64,
}

impl DiskFile for SimFile {
    fn stat(&self) -> io::Result<Stat> {
        let inner = self.machine.inner();
        inner.alive(self.process)?;
        Ok(Stat {
            len: inner.contents[&self.content].cache.len() as u64,
            device: 1,
            inode: self.content,
            links: 1,
            modified_s: START_MS / 1_000,
            modified_ns: 0,
            changed_ns: 0,
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut inner = self.machine.inner();
        inner.alive(self.process)?;
        inner.others_write();
        let cache = &inner.contents[&self.content].cache;
        let from = usize::try_from(offset).unwrap().min(cache.len());
        let read = buffer.len().min(cache.len() - from);
        buffer[..read].copy_from_slice(&cache[from..from + read]);
        Ok(read)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<Landed> {
        assert!(self.appends, "a file that was not opened for it");
        let mut inner = self.machine.inner();
        inner.others_write();
        let end = inner.contents[&self.content].cache.len();
        let taken = inner.write(self.process, self.content, bytes, end)?;
        Ok(Landed { taken, end: (end + taken) as u64 })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        assert!(!self.appends, "a file that appends wherever it is told to write");
        self.machine.inner().write(self.process, self.content, bytes, usize::try_from(offset).unwrap())
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        let mut inner = self.machine.inner();
        match inner.act(self.process)? {
            Act::Goes | Act::Fails(Fails::Sync | Fails::Space) => {}
            Act::Fails(fails) => return Err(fails.error()),
            Act::Killed(kill) => return Err(inner.end(self.process, kill)),
        }
        let file = inner.contents.get_mut(&self.content).unwrap();
        let (len, before) = (usize::try_from(len).unwrap(), file.cache.len());
        file.cache.resize(len, 0);
        file.change(len, before);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.machine.inner();
        inner.others_write();
        let act = inner.act(self.process)?;
        let mut dice = inner.dice.clone();
        let file = inner.contents.get_mut(&self.content).unwrap();
        let done = match act {
            Act::Goes | Act::Fails(Fails::Space) => {
                file.sync();
                if self.heard.swap(file.failed, Ordering::Relaxed) < file.failed {
                    return Err(Fails::Sync.error());
                }
                Ok(())
            }
            Act::Fails(fails) => {
                file.failed += 1;
                self.heard.store(file.failed, Ordering::Relaxed);
                file.lose_sync(&mut dice);
                Err(fails.error())
            }
            Act::Killed(kill) => Err(inner.end(self.process, kill)),
        };
        if done.is_ok() {
            inner.dice = dice;
            inner.dice.next();
        }
        done
    }
}
