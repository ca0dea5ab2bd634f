//! A batch of lines appended to one day file, whole or not at all.

use std::io;

use crate::clock::Date;
use crate::day::tail::{Torn, look};
use crate::disk::{Disk, DiskFile};
use crate::home::{OWN_FOLDER, TRAIL_FOLDER, day_name};

/// Bytes of a fragment's folder part that fit a file name together with the rest of it.
const FRAGMENT_FOLDER_BYTES: usize = 180;

/// What an append did.
#[derive(Debug)]
pub(crate) struct Appended {
    /// The file, to sync it.
    pub(crate) file: Box<dyn DiskFile>,
    /// The torn tail that was cut off first, and the name of the file in `fragments/` that keeps it.
    pub(crate) torn: Option<(Torn, String)>,
}

/// Appends whole lines to a user's day file. The caller holds the home's append lock.
///
/// A torn tail is kept in `fragments/` and cut off first. If the disk takes only a part of the lines, the file is cut
/// back to where it was: readers stop at the last newline, and nobody else may write meanwhile.
///
/// # Errors
/// What the system says; then none of the lines is in the file, unless cutting back failed too and a torn tail stays
/// for the next append.
pub(crate) fn append(disk: &dyn Disk, folder: &str, date: Date, lines: &[u8]) -> io::Result<Appended> {
    let name = day_name(date);
    let file = disk.append(&[folder, TRAIL_FOLDER, &name])?;
    let (mut len, torn) = look(&*file)?;
    let torn = match torn {
        None => None,
        Some(torn) => {
            let kept = keep(disk, folder, date, &torn)?;
            file.cut(torn.offset)?;
            len = torn.offset;
            Some((torn, kept))
        }
    };
    let mut written = 0;
    while written < lines.len() {
        let failed = match file.append(&lines[written..]) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(taken) => {
                written += taken;
                continue;
            }
            Err(error) => error,
        };
        if written > 0 {
            file.cut(len)?;
        }
        return Err(failed);
    }
    Ok(Appended { file, torn })
}

/// Keeps a torn tail as a file of its own, durably, before it is cut off; returns that file's name.
fn keep(disk: &dyn Disk, folder: &str, date: Date, torn: &Torn) -> io::Result<String> {
    let mut short = folder.len().min(FRAGMENT_FOLDER_BYTES);
    while !folder.is_char_boundary(short) {
        short -= 1;
    }
    // Two fragments may begin at one offset, one after another: the second is appended to the first.
    let name = format!("{date}.{}.{}", torn.offset, &folder[..short]);
    let fragment = disk.append(&[OWN_FOLDER, "fragments", &name])?;
    let mut written = 0;
    while written < torn.bytes.len() {
        match fragment.append(&torn.bytes[written..])? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            taken => written += taken,
        }
    }
    fragment.sync()?;
    Ok(name)
}
