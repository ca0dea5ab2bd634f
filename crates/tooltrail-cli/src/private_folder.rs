//! Makes folders that only their owner may read.

use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Creates a folder that only its owner may read, and those above it. One that exists stays as it is.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn create(folder: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
