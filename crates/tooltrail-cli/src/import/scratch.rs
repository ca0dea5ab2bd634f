//! A file that only this process can read and that is gone with it.
//!
//! Imported lines are not redacted yet, and no secret may reach the disk: what is spooled is enciphered with a key
//! that exists in memory alone, by ChaCha20, which deciphers from any place. The file lies below the home, where there
//! is room for as many lines anyway.

use std::fmt;
use std::io;

use chacha20::ChaCha20Legacy;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _, StreamCipherSeek as _};
use tooltrail::disk::{Disk, DiskFile};
use tooltrail::{Random as _, SystemRandom};

use crate::import::state::FOLDER;

/// Bytes gathered before a write.
const WRITE_BYTES: usize = 256 * 1024;

/// An unnamed file to append to and to read from.
pub(crate) struct Scratch {
    file: Box<dyn DiskFile>,
    key: [u8; 32],
    /// Clear bytes not yet written.
    pending: Vec<u8>,
    written: u64,
}

impl Scratch {
    /// Makes an empty one in the home's own folder.
    pub(crate) fn new(disk: &dyn Disk) -> io::Result<Self> {
        let mut random = [0; 40];
        SystemRandom.fill(&mut random);
        let (key, name) = random.split_at(32);
        let name = tooltrail::hex(name);
        let path = [FOLDER[0], FOLDER[1], &format!("scratch.{name}")];
        let file = disk.append(&path)?;
        // Without a name it is gone with the process, however that ends.
        disk.remove(&path)?;
        let key = key.try_into().expect("the first 32 of 40 bytes");
        Ok(Self { file, key, pending: Vec::with_capacity(WRITE_BYTES), written: 0 })
    }

    /// Returns how many bytes were appended.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// Appends bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(WRITE_BYTES) {
            self.pending.extend_from_slice(part);
            if self.pending.len() >= WRITE_BYTES {
                self.write_out()?;
            }
        }
        Ok(())
    }

    /// Writes what is pending, so that all can be read.
    pub(crate) fn write_out(&mut self) -> io::Result<()> {
        encipher(&self.key, &mut self.pending, self.written)?;
        let mut rest = self.pending.as_slice();
        while !rest.is_empty() {
            let taken = self.file.append(rest)?.taken;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = &rest[taken..];
        }
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Reads written bytes; fewer only at the end.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        encipher(&self.key, &mut buffer[..read], offset)?;
        Ok(read)
    }
}

/// Shows no key.
impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Enciphers bytes of an offset in place, or deciphers them: it is the same.
fn encipher(key: &[u8; 32], bytes: &mut [u8], offset: u64) -> io::Result<()> {
    // A key serves one file, each byte of which is written once: the nonce has nothing to tell apart.
    let mut cipher = ChaCha20Legacy::new(key.into(), &[0; 8].into());
    cipher.try_seek(offset).map_err(io::Error::other)?;
    cipher.try_apply_keystream(bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::{Scratch, WRITE_BYTES};
    use tooltrail::Home;

    #[test]
    fn what_is_spooled_reads_back_and_is_not_clear_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(folder.path(), false).unwrap();
        let mut scratch = Scratch::new(home.disk().as_ref()).unwrap();
        let text = b"0123456789abcdef secret ".repeat(WRITE_BYTES / 20);
        for part in text.chunks(1_003) {
            scratch.push(part).unwrap();
        }
        scratch.write_out().unwrap();
        assert_eq!(scratch.len(), text.len() as u64);
        for (offset, length) in [(0, 5), (31, 2), (33, 1_000), (WRITE_BYTES - 7, 100), (text.len() - 3, 3)] {
            let mut buffer = vec![0; length];
            assert_eq!(scratch.read_at(&mut buffer, offset as u64).unwrap(), length);
            assert_eq!(buffer, &text[offset..offset + length], "{offset}");
        }
        let mut raw = vec![0; 4_096];
        scratch.file.read_at(&mut raw, 0).unwrap();
        assert!(!raw.windows(6).any(|window| window == b"secret"));
        let left = std::fs::read_dir(folder.path().join(".tooltrail/imports")).unwrap().count();
        assert_eq!(left, 0, "it has no name");
    }
}
