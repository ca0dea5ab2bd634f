//! A temporary file that only this process can read and that disappears with the process.
//!
//! The lines of an import are not redacted yet, and no secret may reach the disk in clear text. Therefore the file is
//! encrypted with a key that exists only in memory. The cipher is ChaCha20, because it can decrypt from any offset. The
//! file is below the home, because the home needs room for the same lines anyway.

use std::fmt;
use std::io;

use chacha20::ChaCha20Legacy;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _, StreamCipherSeek as _};
use tooltrail::disk::{Disk, DiskFile};
use tooltrail::{Random as _, SystemRandom};

use crate::import::state::FOLDER;

/// Bytes collected in memory before one write.
const WRITE_BYTES: usize = 256 * 1024;

/// A file without a name, to append to and to read from.
pub(crate) struct Scratch {
    file: Box<dyn DiskFile>,
    key: [u8; 32],
    /// Appended bytes that are not encrypted and written yet.
    pending: Vec<u8>,
    written: u64,
}

impl Scratch {
    /// Creates an empty file in the home's folder for imports.
    pub(crate) fn new(disk: &dyn Disk) -> io::Result<Self> {
        let mut random = [0; 40];
        SystemRandom.fill(&mut random);
        let (key, name) = random.split_at(32);
        let name = tooltrail::hex(name);
        let path = [FOLDER[0], FOLDER[1], &format!("scratch.{name}")];
        let file = disk.append(&path)?;
        // A file without a name disappears with the process, even if the process is killed.
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

    /// Encrypts and writes the pending bytes, so that all appended bytes can be read.
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

    /// Reads and decrypts written bytes from an offset. Returns fewer bytes than the buffer holds only at the end.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        encipher(&self.key, &mut buffer[..read], offset)?;
        Ok(read)
    }
}

/// Prints the length only, never the key.
impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Encrypts or decrypts the bytes at an offset in place; both are the same operation.
fn encipher(key: &[u8; 32], bytes: &mut [u8], offset: u64) -> io::Result<()> {
    // A constant nonce is safe, because each key encrypts only one file and each byte of it is written once.
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
