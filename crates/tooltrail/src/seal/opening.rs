//! Opens recorders that seal what they record.

use std::sync::Arc;

use crate::disk::Disk;
use crate::error::Error;
use crate::home::Home;
use crate::record::{Options, Sealing, SessionRecorder, Steps};
use crate::seal::erase::resume;
use crate::seal::keys::SealKeys;
use crate::seal::owner::LogOwner;
use crate::seal::sealer::Sealer;

/// Returns what seals the day files of a recorder; `None` without a folder of keys. Completes an erasure that was
/// interrupted.
///
/// # Errors
/// As [`Options::open`].
pub(crate) fn sealing(options: &Options, home: &Home) -> Result<Option<Arc<dyn Sealing>>, Error> {
    let Some(sealer) = options.sealer(home)? else { return Ok(None) };
    resume(&sealer).map_err(Error::io("complete an erasure in", home.root()))?;
    let sealer = if options.seals_when_idle { sealer } else { sealer.one_of_many() };
    Ok(Some(Arc::new(sealer)))
}

impl Options {
    /// Opens the home for a short-lived process that records calls of sessions: without a writer thread, and without the
    /// recovery of what other processes left in the journal.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open_sessions(mut self) -> Result<SessionRecorder, Error> {
        let home = self.create_home()?;
        if let Some(sealer) = self.sealer(&home)? {
            self.sealing = Some(Arc::new(sealer.short_lived()));
        }
        self.sessions_on(home)
    }

    /// Returns the sealer of a home; `None` without a folder of keys.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub(crate) fn sealer(&self, home: &Home) -> Result<Option<Sealer>, Error> {
        let Some(folder) = &self.keys else { return Ok(None) };
        self.check_keys(home)?;
        let keys = SealKeys::create(home, folder, self.log_key.clone())?;
        self.sealer_with(home, keys).map(Some)
    }

    fn sealer_with(&self, home: &Home, keys: SealKeys) -> Result<Sealer, Error> {
        let (clock, random) = (Arc::clone(&self.clock), Arc::clone(&self.random));
        Sealer::new(home.clone(), keys, self.origin.as_deref(), clock, random)
    }
}

impl LogOwner {
    /// Like [`LogOwner::open`], with keys on a disk of their own.
    ///
    /// # Errors
    /// As [`LogOwner::open`].
    #[doc(hidden)]
    pub fn on(home: &Home, options: &Options, keys: Arc<dyn Disk>) -> Result<Self, Error> {
        Ok(Self { home: home.clone(), sealer: options.sealer_with(home, SealKeys::on(keys))? })
    }
}

impl Steps {
    /// Like [`Steps::open`], with a sealer whose keys are on a disk of their own.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open_sealed(home: Home, mut options: Options, keys: Arc<dyn Disk>) -> Result<Self, Error> {
        let sealer = options.sealer_with(&home, SealKeys::on(keys))?;
        resume(&sealer).map_err(Error::io("complete an erasure in", home.root()))?;
        options.sealing = Some(Arc::new(sealer));
        Self::open(home, options)
    }
}
