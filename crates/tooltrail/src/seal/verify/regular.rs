//! Reads small files of a home whose place somebody else may have taken with a link, a FIFO or a folder.

use std::io;

use crate::disk::{Disk, is_trouble};
use crate::seal::keys::read_text;
use crate::seal::name::NameKey;

/// Reads a file of the home as text. What is no regular file counts as missing.
///
/// # Errors
/// Any I/O error of the operating system.
pub(super) fn home_text(disk: &dyn Disk, path: &[&str], bytes_max: usize) -> io::Result<Option<String>> {
    match read_text(disk, path, bytes_max) {
        Err(error) if !is_trouble(&error) => Ok(None),
        text => text,
    }
}

/// Returns the name key of a user's folder. What is no regular file counts as missing.
///
/// # Errors
/// Any I/O error of the operating system.
pub(super) fn name_key(disk: &dyn Disk, folder: &str) -> io::Result<Option<NameKey>> {
    match NameKey::read(disk, folder) {
        Err(error) if !is_trouble(&error) => Ok(None),
        key => key,
    }
}
