//! What a verifier remembers of a home: the key and the newest checkpoint that it has accepted.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::disk::{Disk, RealDisk};
use crate::error::Error;
use crate::hex::hex;
use crate::seal::keys::read_text;
use crate::seal::note::{NOTE_BYTES_MAX, VerifierKey};
use crate::seal::verify::verdict::Report;

use sha2::{Digest as _, Sha256};

/// What is remembered of one home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The key.
    pub key: VerifierKey,
    /// The checkpoint, as it was read.
    pub checkpoint: String,
}

/// The state of day files when they were found good, by their paths below the home.
pub type KnownFiles = BTreeMap<String, String>;

/// The most bytes of the states of files: some hundred thousand files.
const FILES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A folder in which the checkpoints of homes are remembered, one file for each home by its path.
#[derive(Debug)]
pub struct Memories {
    disk: RealDisk,
    name: String,
}

impl Memories {
    /// Opens the folder for one home, and creates it if it is missing. `home` is the home's path without links.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn open(folder: &Path, home: &Path) -> Result<Self, Error> {
        crate::home::make_root(folder, false).map_err(Error::io("create", folder))?;
        let disk = RealDisk::open(folder, false).map_err(Error::io("open", folder))?;
        let name = hex(&Sha256::digest(home.as_os_str().as_encoded_bytes())[..16]);
        Ok(Self { disk, name })
    }

    /// Returns what is remembered; `None` if nothing is. A file with other content is an error, because somebody may have
    /// changed it.
    ///
    /// # Errors
    /// Any I/O error of the operating system; [`io::ErrorKind::InvalidData`] for other content.
    pub fn read(&self) -> io::Result<Option<Remembered>> {
        let Some(text) = read_text(&self.disk, &[&self.name], NOTE_BYTES_MAX)? else { return Ok(None) };
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the remembered checkpoint cannot be read");
        let (key, checkpoint) = text.split_once('\n').ok_or_else(wrong)?;
        let key = VerifierKey::parse(key).ok_or_else(wrong)?;
        Ok(Some(Remembered { key, checkpoint: checkpoint.to_owned() }))
    }

    /// Remembers a key and a checkpoint.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn write(&self, remembered: &Remembered) -> io::Result<()> {
        let text = format!("{}\n{}", remembered.key, remembered.checkpoint);
        self.disk.replace(&[&self.name], text.as_bytes())
    }

    /// Forgets the home.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn forget(&self) -> io::Result<()> {
        self.disk.remove(&[&self.name])?;
        self.disk.remove(&[&self.files_name()])
    }

    /// Returns the state of each file when it was last found good; empty if nothing is known.
    #[must_use]
    pub fn known_files(&self) -> KnownFiles {
        let text = read_text(&self.disk, &[&self.files_name()], FILES_BYTES_MAX).ok().flatten().unwrap_or_default();
        let pair = |line: &str| line.split_once('\t').map(|(file, state)| (file.to_owned(), state.to_owned()));
        text.lines().filter_map(pair).collect()
    }

    /// Keeps the states of the files that were found good. If that fails, they are read again next time.
    pub fn keep_files(&self, report: &Report) {
        let mut known = self.known_files();
        known.extend(report.good_files.iter().map(|(file, state)| (file.clone(), state.clone())));
        let text = known.iter().map(|(file, state)| format!("{file}\t{state}\n")).collect::<String>();
        let _ = self.disk.replace(&[&self.files_name()], text.as_bytes());
    }

    fn files_name(&self) -> String {
        format!("{}.files", self.name)
    }
}
