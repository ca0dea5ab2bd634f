//! A batch of lines appended to one day file, whole or not at all.

use std::io;
use std::sync::Arc;

use crate::clock::Date;
use crate::day::tail::{Torn, look};
use crate::disk::{Disk, DiskFile};
use crate::home::{OWN_FOLDER, TRAIL_FOLDER, day_name};

/// Bytes of a fragment's folder part that fit a file name together with the rest of it.
const FRAGMENT_FOLDER_BYTES: usize = 180;

/// A day file open at its end.
#[derive(Debug)]
pub(crate) struct End {
    /// The file, to sync it.
    pub(crate) file: Arc<dyn DiskFile>,
    /// Its device and inode.
    pub(crate) place: (u64, u64),
    /// Its length: whole lines.
    pub(crate) len: u64,
    /// The torn tail that was cut off first, and the name of the file in `fragments/` that keeps it.
    pub(crate) torn: Option<(Torn, String)>,
}

impl End {
    /// Opens a user's day file to append to it. The caller holds the home's append lock until it has.
    ///
    /// A torn tail is kept in `fragments/` and cut off.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(disk: &dyn Disk, folder: &str, date: Date) -> io::Result<Self> {
        let file = Arc::<dyn DiskFile>::from(disk.append(&[folder, TRAIL_FOLDER, &day_name(date)])?);
        let stat = file.stat()?;
        let place = (stat.device, stat.inode);
        let (len, torn) = look(disk, &*file)?;
        let Some(torn) = torn else { return Ok(Self { file, place, len, torn: None }) };
        let kept = keep(disk, folder, date, &torn)?;
        cut(&*file, torn.offset)?;
        Ok(Self { file, place, len: torn.offset, torn: Some((torn, kept)) })
    }

    /// Appends whole lines, all or none.
    ///
    /// If the disk takes only a part of them, the file is cut back to where it was: readers stop at the last newline,
    /// and nobody else may write meanwhile.
    ///
    /// # Errors
    /// What the system says; then none of the lines is in the file, unless cutting back failed too and a torn tail
    /// stays for the next append.
    pub(crate) fn append(&self, lines: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while written < lines.len() {
            let failed = match self.file.append(&lines[written..]) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(taken) => {
                    written += taken;
                    continue;
                }
                Err(error) => error,
            };
            if written > 0 {
                cut(&*self.file, self.len)?;
            }
            return Err(failed);
        }
        Ok(())
    }
}

/// Cuts a file, durably: what is then written in place of what was cut must never be mixed with it by a power cut.
pub(super) fn cut(file: &dyn DiskFile, len: u64) -> io::Result<()> {
    file.cut(len)?;
    file.sync()
}

/// Keeps a torn tail as a file of its own, durably, before it is cut off; returns that file's name.
pub(super) fn keep(disk: &dyn Disk, folder: &str, date: Date, torn: &Torn) -> io::Result<String> {
    let mut short = folder.len().min(FRAGMENT_FOLDER_BYTES);
    while !folder.is_char_boundary(short) {
        short -= 1;
    }
    let name = format!("{date}.{}.{}", torn.offset, &folder[..short]);
    keep_fragment(disk, &name, &torn.bytes)?;
    Ok(name)
}

/// Keeps bytes in `fragments/`, durably. Two fragments of one name stand one after another; one that was kept before
/// its bytes were cut off, and whoever did it was killed, is kept once.
///
/// # Errors
/// What the system says.
pub(crate) fn keep_fragment(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let fragment = disk.append(&[OWN_FOLDER, "fragments", name])?;
    let mut last = vec![0; bytes.len()];
    let before = fragment.stat()?.len.checked_sub(bytes.len() as u64);
    if let Some(before) = before
        && fragment.read_at(&mut last, before)? == bytes.len()
        && last == bytes
    {
        return fragment.sync();
    }
    let mut written = 0;
    while written < bytes.len() {
        match fragment.append(&bytes[written..])? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            taken => written += taken,
        }
    }
    fragment.sync()
}
