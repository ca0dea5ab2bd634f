//! The switch that stops all hooks of a user at once.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::private_folder;

/// The file that turns the hooks off while it exists.
#[derive(Clone, Debug)]
pub(crate) struct PauseFile(PathBuf);

impl PauseFile {
    /// Returns the switch in a folder for state.
    pub(crate) fn new(state: &Path) -> Self {
        Self(state.join("agents.off"))
    }

    /// Whether the hooks are off.
    pub(crate) fn is_off(&self) -> bool {
        self.0.symlink_metadata().is_ok()
    }

    /// Turns the hooks off, or on again.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn set(&self, off: bool) -> std::io::Result<()> {
        if off {
            private_folder::create(self.0.parent().unwrap_or(Path::new("/")))?;
            return std::fs::write(&self.0, "tooltrail agent on turns the hooks on again\n");
        }
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}
