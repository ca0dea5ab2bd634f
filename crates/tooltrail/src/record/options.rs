//! The options with which a recorder is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::home::Home;
use crate::random::{Random, SystemRandom};
use crate::record::encoder::Encoder;
use crate::record::keys::redaction_key;
use crate::record::recorder::{Recorder, State};
use crate::record::sealing::Sealing;
use crate::record::sessions::{SessionRecorder, settle};
use crate::record::upkeep::Upkeep;
use crate::record::writer::Writer;
use crate::redact::{RedactionRules, Redactor};
use crate::retention::Retention;

/// The options with which a recorder is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The home. It is created if it is missing.
    pub home: PathBuf,
    /// The folder of the home's keys, which must be outside the home. Without it, the marks that replace secrets have
    /// no tags.
    pub keys: Option<PathBuf>,
    /// Whether the group of the home folder may read it.
    pub group: bool,
    /// Whether the home may be on a network file system; see [`Home::create_even_on_network`].
    pub force_network_home: bool,
    /// The days to keep. Entries of older days are refused. To remove old days, call [`Recorder::prune`]; it does not
    /// run by itself.
    pub retention: Retention,
    /// The redaction rules in addition to the built-in ones.
    pub rules: RedactionRules,
    /// The source of the time.
    pub clock: Arc<dyn Clock>,
    /// The source of random bits.
    pub random: Arc<dyn Random>,
    /// The origin of the home's log, if it has no log yet. Without it, it is `tooltrail/` and the home's id.
    pub origin: Option<String>,
    /// A file with the seed of the log's signing key, 64 hex digits, if it is not in the folder of keys.
    pub log_key: Option<PathBuf>,
    /// Whether the recorder looks for what other programs have appended while it records nothing itself, so that this is
    /// sealed too. It wakes every ten seconds for that. Turn it off for processes of which hundreds may be idle.
    pub seals_when_idle: bool,
    /// Who seals the day files; set where the recorder is opened.
    pub(crate) sealing: Option<Arc<dyn Sealing>>,
    /// What is kept up beside the recording; set where the recorder is opened.
    pub(crate) upkeep: Option<Arc<dyn Upkeep>>,
    /// Whether secrets are not redacted.
    unredacted: bool,
}

impl Options {
    /// Returns the defaults for a home: no keys, and the clock and the random bits of the system.
    #[must_use]
    pub fn new(home: impl AsRef<Path>) -> Self {
        Self {
            home: home.as_ref().to_owned(),
            keys: None,
            group: false,
            force_network_home: false,
            retention: Retention::default(),
            rules: RedactionRules::default(),
            clock: Arc::new(SystemClock::default()),
            random: Arc::new(SystemRandom),
            origin: None,
            log_key: None,
            seals_when_idle: true,
            sealing: None,
            upkeep: None,
            unredacted: false,
        }
    }

    /// Turns redaction off, so that the benchmark can measure its cost. For no other use.
    #[doc(hidden)]
    #[must_use]
    pub fn dangerously_unredacted(self) -> Self {
        Self { unredacted: true, ..self }
    }

    /// Opens a recorder on a home and starts its writer thread.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub(crate) fn start(self, home: Home) -> Result<Recorder, Error> {
        let (recorder, writer) = self.open_on(home, true)?;
        let thread = std::thread::Builder::new().name("tooltrail-writer".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(Error::io("start a writer for", recorder.home().root()))?;
        recorder.run_by(thread);
        Ok(recorder)
    }

    /// Like [`Options::open_sessions`], on a home that is open.
    ///
    /// # Errors
    /// As [`Options::open`].
    #[doc(hidden)]
    pub fn sessions_on(self, home: Home) -> Result<SessionRecorder, Error> {
        let encoder = Encoder::new(self.redactor(&home)?, Arc::clone(&self.random));
        Ok(SessionRecorder::new(home, encoder, self.clock, self.random, self.sealing))
    }

    pub(crate) fn create_home(&self) -> Result<Home, Error> {
        if self.force_network_home {
            Home::create_even_on_network(&self.home, self.group)
        } else {
            Home::create(&self.home, self.group)
        }
    }

    /// Checks that the folder of keys is not below the home.
    ///
    /// # Errors
    /// [`Error::KeysBelowHome`].
    pub(crate) fn check_keys(&self, home: &Home) -> Result<(), Error> {
        match &self.keys {
            Some(keys) if lies_below(keys, home.root()) => Err(Error::KeysBelowHome { keys: keys.clone() }),
            _ => Ok(()),
        }
    }

    fn redactor(&self, home: &Home) -> Result<Arc<Redactor>, Error> {
        let key = match &self.keys {
            None => None,
            Some(keys) => {
                self.check_keys(home)?;
                Some(redaction_key(home, keys, &*self.random)?)
            }
        };
        Ok(Arc::new(if self.unredacted { Redactor::off() } else { Redactor::with(key, &self.rules) }))
    }

    /// Recovers a home, and returns a recorder and its writer. The writer does nothing until it is run. With
    /// `background`, it flushes in a thread of its own.
    pub(crate) fn open_on(self, home: Home, background: bool) -> Result<(Recorder, Writer), Error> {
        let redactor = self.redactor(&home)?;
        let state = Arc::new(State::default());
        let writer = Writer::open(home.clone(), Arc::clone(&redactor), &self, Arc::clone(&state), background)?;
        // A failure is no reason to record nothing: the calls wait for the next process.
        let _ = settle(&home, self.clock.now());
        let retention = self.retention;
        let encoder = writer.encoder();
        let recorder = Recorder::without_writer(home, redactor, encoder, retention, self.clock, state, self.sealing);
        Ok((recorder, writer))
    }
}

/// Whether `folder`, which may not exist yet, is below `home`, after links are resolved.
fn lies_below(folder: &Path, home: &Path) -> bool {
    let resolved = folder.ancestors().find_map(|ancestor| {
        let rest = folder.strip_prefix(ancestor).ok()?;
        Some(ancestor.canonicalize().ok()?.join(rest))
    });
    match (resolved, home.canonicalize()) {
        (Some(folder), Ok(home)) => folder.starts_with(home),
        _ => folder.starts_with(home),
    }
}
