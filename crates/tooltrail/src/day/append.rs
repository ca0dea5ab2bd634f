//! A batch of lines appended to one day file, whole or not at all.

use std::io;
use std::sync::Arc;

use crate::clock::Date;
use crate::day::fragment::Fragment;
use crate::day::tail::look;
use crate::disk::{Disk, DiskFile};
use crate::home::{TRAIL_FOLDER, day_name};

/// A day file open at its end.
#[derive(Debug)]
pub(crate) struct End {
    /// The file, to sync it.
    pub(crate) file: Arc<dyn DiskFile>,
    /// Its device and inode.
    pub(crate) place: (u64, u64),
    /// Its length: whole lines.
    pub(crate) len: u64,
    /// The torn tail that was cut off first.
    pub(crate) torn: Option<Fragment>,
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
        let fragment = Fragment::of_day(folder, date, &torn);
        fragment.keep(disk, &torn.bytes)?;
        cut(&*file, torn.offset)?;
        Ok(Self { file, place, len: torn.offset, torn: Some(fragment) })
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
