//! What a sealed home must be, whatever has ended its processes: it verifies, and no two of its checkpoints contradict.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tooltrail::disk::{Disk, DiskFile, Listed, Lock, Space, Stat};
use tooltrail::seal::{Report, Verify};
use tooltrail::{Clock, Home};

use crate::sim_disk::Machine;

/// The folder of the simulated disk in which the keys are.
pub(crate) const KEYS: &str = "%keys";

/// All checkpoints that were ever seen, by their sizes.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints(BTreeMap<String, String>);

impl Checkpoints {
    /// Takes the checkpoints that are stored now into account; none may contradict one that was seen before.
    pub(crate) fn look(&mut self, machine: &Machine) -> Result<(), String> {
        for (path, bytes) in machine.files() {
            if path != format!("{KEYS}/checkpoint") && path != ".tooltrail/log/checkpoint" {
                continue;
            }
            let note = String::from_utf8_lossy(&bytes).into_owned();
            let mut lines = note.lines().skip(1);
            let (Some(size), Some(root)) = (lines.next(), lines.next()) else { continue };
            let before = self.0.insert(size.to_owned(), root.to_owned());
            if before.as_ref().is_some_and(|before| before != root) {
                return Err(format!("two checkpoints of size {size}: {before:?} and {root}"));
            }
        }
        Ok(())
    }
}

/// Verifies the home on a simulated disk against the checkpoint beside the key.
pub(crate) fn verify(machine: &Arc<Machine>, clock: &dyn Clock) -> Result<Report, String> {
    let disk = machine.process();
    let home = Home::on(disk.clone()).map_err(|error| error.message())?;
    let mut verify = Verify::default();
    verify.keys_disk = Some(Arc::new(Folder(disk)));
    // How old a tail may be is not what is tested here.
    verify.max_tail = Duration::from_secs(u64::MAX / 4);
    verify.run(&home, clock, &|_| {}).map_err(|error| error.message())
}

/// A folder of a disk as a disk of its own.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) Arc<dyn Disk>);

fn below<'a>(path: &[&'a str]) -> Vec<&'a str> {
    [&[KEYS], path].concat()
}

impl Disk for Folder {
    fn list(&self, folder: &[&str]) -> io::Result<Vec<Listed>> {
        self.0.list(&below(folder))
    }

    fn open(&self, file: &[&str]) -> io::Result<Option<Box<dyn DiskFile>>> {
        self.0.open(&below(file))
    }

    fn stat(&self, file: &[&str]) -> io::Result<Option<Stat>> {
        self.0.stat(&below(file))
    }

    fn append(&self, file: &[&str]) -> io::Result<Box<dyn DiskFile>> {
        self.0.append(&below(file))
    }

    fn write(&self, file: &[&str]) -> io::Result<Box<dyn DiskFile>> {
        self.0.write(&below(file))
    }

    fn replace(&self, file: &[&str], bytes: &[u8]) -> io::Result<()> {
        self.0.replace(&below(file), bytes)
    }

    fn create(&self, file: &[&str], bytes: &[u8], sync: bool) -> io::Result<bool> {
        self.0.create(&below(file), bytes, sync)
    }

    fn rename(&self, file: &[&str], to: &[&str]) -> io::Result<bool> {
        self.0.rename(&below(file), &below(to))
    }

    fn remove(&self, file: &[&str]) -> io::Result<()> {
        self.0.remove(&below(file))
    }

    fn remove_folder(&self, folder: &[&str]) -> io::Result<()> {
        self.0.remove_folder(&below(folder))
    }

    fn sync_folder(&self, folder: &[&str]) -> io::Result<()> {
        self.0.sync_folder(&below(folder))
    }

    fn lock(&self, file: &[&str], wait: Duration) -> io::Result<Box<dyn Lock>> {
        self.0.lock(&below(file), wait)
    }

    fn stands(&self) -> io::Result<bool> {
        self.0.stands()
    }

    fn space(&self) -> io::Result<Option<Space>> {
        self.0.space()
    }

    fn handles_max(&self) -> usize {
        self.0.handles_max()
    }

    fn boot(&self) -> Option<String> {
        self.0.boot()
    }

    fn pause(&self, time: Duration) {
        self.0.pause(time);
    }
}
