//! Whose accepted entries wait for their day files, told to whoever reads.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Folders of which entries were accepted that no day file holds yet.
#[derive(Debug, Default)]
pub(crate) struct WaitingFolders(Mutex<Arc<BTreeSet<String>>>);

impl WaitingFolders {
    /// Returns them.
    pub(crate) fn get(&self) -> Arc<BTreeSet<String>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a folder: before anybody is told that its entry is accepted.
    pub(crate) fn add(&self, folder: &str) {
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !folders.contains(folder) {
            Arc::make_mut(&mut folders).insert(folder.to_owned());
        }
    }

    /// Keeps none but these.
    pub(crate) fn set(&self, now: BTreeSet<String>) {
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if **folders != now {
            *folders = Arc::new(now);
        }
    }
}
