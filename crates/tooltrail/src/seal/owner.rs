//! What the owner of a home may do with its log: show and change the key, and begin anew.

use std::time::Duration;

use crate::error::Error;
use crate::home::{Home, OWN_FOLDER};
use crate::record::Options;
use crate::seal::note::VerifierKey;
use crate::seal::sealer::Sealer;
use crate::seal::signing::{Again, SignError};

/// How long to wait for a process that seals.
const WAIT: Duration = Duration::from_secs(10);

/// The log of a home in the hands of its owner.
#[derive(Debug)]
pub struct LogOwner {
    pub(super) home: Home,
    pub(super) sealer: Sealer,
}

impl LogOwner {
    /// Opens the log of a home. The options name the folder of keys.
    ///
    /// # Errors
    /// As [`Options::open`]; [`Error::Input`] without a folder of keys.
    pub fn open(options: &Options, home: &Home) -> Result<Self, Error> {
        let sealer = options.sealer(home)?;
        let sealer = sealer.ok_or_else(|| Error::input("there is no folder of keys", "name the folder of keys"))?;
        Ok(Self { home: home.clone(), sealer })
    }

    /// Returns the verifier key of the log. Makes the key and the log if there are none yet.
    ///
    /// # Errors
    /// [`Error::Unhealthy`] if the log of the home is not signed by the key; any I/O error of the operating system.
    pub fn key(&self) -> Result<VerifierKey, Error> {
        let opened = self.sealer.open(WAIT).map_err(|error| self.failed(error))?;
        let key = opened.log.signer().verifier();
        opened.close();
        Ok(key)
    }

    /// Changes the signing key. Returns the new one. The checkpoint that announces it is signed by both keys, so that a
    /// verifier with the old key accepts the new one.
    ///
    /// # Errors
    /// As [`LogOwner::key`].
    pub fn rotate_key(&self, by: &str, why: &str) -> Result<VerifierKey, Error> {
        let mut opened = self.sealer.open(WAIT).map_err(|error| self.failed(error))?;
        let at = self.sealer.now_ms();
        let rotated = self.sealer.signing().rotate(&mut opened.log, at, by, why);
        rotated.map_err(|error| self.failed(error.into()))
    }

    /// Makes a new signing key after the old one was lost. Nothing links the two, so that each verifier must be given the
    /// new key.
    ///
    /// # Errors
    /// [`Error::Unhealthy`] if there is no log, or if the log of the home is older than its newest checkpoint.
    pub fn replace_lost_key(&self, by: &str, why: &str) -> Result<VerifierKey, Error> {
        self.again(Again::AfterLostKey, by, why)
    }

    /// Begins a new log, for a home that was restored from an older copy. Its first entry quotes the last checkpoint of
    /// the log before. Returns the key of the new log.
    ///
    /// # Errors
    /// As [`LogOwner::replace_lost_key`]; [`Error::Input`] if the log can go on, because each verifier would have to accept
    /// the new one for nothing.
    pub fn restart(&self, by: &str, why: &str) -> Result<VerifierKey, Error> {
        if let Ok(opened) = self.sealer.open(WAIT) {
            opened.close();
            return Err(Error::input(
                "the log of this home is in order, and sealing goes on",
                "a new log is only for a home that was restored or copied; tooltrail key rotate changes the key",
            ));
        }
        self.again(Again::NewLog, by, why)
    }

    fn again(&self, how: Again, by: &str, why: &str) -> Result<VerifierKey, Error> {
        let lock = self.sealer.lock(WAIT).map_err(|error| self.failed(error.into()))?;
        let key = self.sealer.signing().begin_again(how, self.sealer.now_ms(), by, why);
        drop(lock);
        key.map_err(|error| self.failed(error))
    }

    pub(super) fn failed(&self, error: SignError) -> Error {
        match error {
            SignError::Io(error) => Error::io("change the log of", &self.home.root().join(OWN_FOLDER))(error),
            SignError::Refused(why) => Error::Unhealthy { why },
        }
    }
}
