//! A disk with one file in memory, for readers that need a file.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::disk::{Disk, DiskFile, Landed, Listed, Lock, Space, Stat};

/// The inode of the only file.
pub(super) const INODE: u64 = 7;

/// A disk on which every path names the same file.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    pub(super) fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskFile for Memory {
    fn stat(&self) -> io::Result<Stat> {
        Ok(Stat {
            len: self.bytes().len() as u64,
            device: 1,
            inode: INODE,
            links: 1,
            modified_s: 0,
            modified_ns: 0,
            changed_ns: 0,
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.bytes();
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<Landed> {
        let mut file = self.bytes();
        file.extend_from_slice(bytes);
        Ok(Landed { taken: bytes.len(), end: file.len() as u64 })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut file = self.bytes();
        let end = file.len().max(offset + bytes.len());
        file.resize(end, 0);
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.bytes().truncate(usize::try_from(len).map_err(io::Error::other)?);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Lock for Memory {}

impl Disk for Memory {
    fn list(&self, _: &[&str]) -> io::Result<Vec<Listed>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn open(&self, _: &[&str]) -> io::Result<Option<Box<dyn DiskFile>>> {
        Ok(Some(Box::new(self.clone())))
    }

    fn stat(&self, _: &[&str]) -> io::Result<Option<Stat>> {
        DiskFile::stat(self).map(Some)
    }

    fn append(&self, _: &[&str]) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.clone()))
    }

    fn write(&self, _: &[&str]) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.clone()))
    }

    fn replace(&self, _: &[&str], bytes: &[u8]) -> io::Result<()> {
        *self.bytes() = bytes.to_vec();
        Ok(())
    }

    fn create(&self, _: &[&str], _: &[u8], _: bool) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn rename(&self, _: &[&str], _: &[&str]) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove_folder(&self, _: &[&str]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove(&self, _: &[&str]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_folder(&self, _: &[&str]) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &[&str], _: Duration) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(self.clone()))
    }

    fn stands(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn space(&self) -> io::Result<Option<Space>> {
        Ok(None)
    }

    fn handles_max(&self) -> usize {
        1
    }

    fn boot(&self) -> Option<String> {
        None
    }

    fn pause(&self, _: Duration) {}
}
