//! The users whose accepted entries are not in their day files yet. Readers use this to say that entries may be
//! missing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The folders of users whose accepted entries are not in a day file yet.
#[derive(Debug, Default)]
pub(crate) struct WaitingFolders(Mutex<Arc<BTreeSet<String>>>);

impl WaitingFolders {
    /// Returns the folders.
    pub(crate) fn get(&self) -> Arc<BTreeSet<String>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a folder. It must be added before an entry of the folder is acknowledged.
    pub(crate) fn add(&self, folder: &str) {
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !folders.contains(folder) {
            Arc::make_mut(&mut folders).insert(folder.to_owned());
        }
    }

    /// Replaces the folders with these.
    pub(crate) fn set(&self, now: BTreeSet<String>) {
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if **folders != now {
            *folders = Arc::new(now);
        }
    }
}
