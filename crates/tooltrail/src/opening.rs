//! Opens recorders together with what works beside the recording: the sealing and the rollups.

use std::sync::Arc;

use crate::error::Error;
use crate::record::{Options, Recorder};
use crate::seal;
use crate::stats::RollupKeeper;

impl Options {
    /// Opens the home for writing and starts the writer thread. With a folder of keys, the day files are sealed about a
    /// second after they are flushed. The rollups, from which statistics are answered, are kept up too, unless
    /// [`Options::seals_when_idle`] is turned off.
    ///
    /// # Errors
    /// [`Error::KeysBelowHome`] if the keys are below the home, where agents may read them; otherwise as
    /// [`Home::create`](crate::Home::create).
    pub fn open(mut self) -> Result<Recorder, Error> {
        let home = self.create_home()?;
        self.sealing = seal::sealing(&self, &home)?;
        if self.seals_when_idle {
            self.upkeep = Some(Arc::new(RollupKeeper::new(home.clone(), Arc::clone(&self.clock))));
        }
        self.start(home)
    }
}
