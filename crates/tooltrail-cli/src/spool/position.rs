//! How far the day files of a spool are delivered.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::regular_file;
use crate::spool::day_file::DayFile;

const FILE: &str = "delivered.json";

/// The longest file: some thousand day files.
const BYTES_MAX: u64 = 1 << 20;

/// How far each day file is delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// By the name of the file: the bytes that the service has.
    files: BTreeMap<String, u64>,
}

impl Position {
    /// Reads the position. Without one, everything is sent once more; the service stores nothing twice.
    pub(super) fn read(folder: &Path) -> Self {
        let mut text = String::new();
        let read =
            regular_file::open(&folder.join(FILE)).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
        read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Returns how many bytes of a file are delivered. A file that is shorter than that is another one.
    pub(super) fn sent(&self, file: &DayFile) -> u64 {
        self.files.get(&file.name()).copied().filter(|sent| *sent <= file.len).unwrap_or(0)
    }

    pub(super) fn set(&mut self, file: &DayFile, sent: u64) {
        self.files.insert(file.name(), sent);
    }

    /// Forgets files that are gone.
    pub(super) fn keep_only(&mut self, files: &[DayFile]) {
        self.files.retain(|name, _| files.iter().any(|file| file.name() == *name));
    }

    /// Stores the position durably.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let (new, path) = (folder.join("delivered.new"), folder.join(FILE));
        let _ = std::fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(serde_json::to_string(self)?.as_bytes())?;
        file.sync_data()?;
        std::fs::rename(new, path)?;
        File::open(folder)?.sync_all()
    }
}
