//! How a recorder is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::home::Home;
use crate::random::{Random, SystemRandom};
use crate::record::keys::redaction_key;
use crate::record::recorder::{Recorder, State};
use crate::record::writer::Writer;
use crate::redact::{RedactionRules, Redactor};
use crate::retention::Retention;

/// How a recorder is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The home; made if it is missing.
    pub home: PathBuf,
    /// The folder of the home's keys, which must lie outside the home; without one, marks of secrets carry no tags.
    pub keys: Option<PathBuf>,
    /// Whether the folder's group may read.
    pub group: bool,
    /// Whether the home may lie on a network file system, as [`Home::create_even_on_network`] says.
    pub force_network_home: bool,
    /// What is kept: entries of days that are too old are refused. [`Recorder::prune`] removes, and is called by hand.
    pub retention: Retention,
    /// What is hidden beside what always is.
    pub rules: RedactionRules,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where random bits come from.
    pub random: Arc<dyn Random>,
    /// Whether secrets are left where they stand.
    unredacted: bool,
}

impl Options {
    /// Returns the defaults for a home: no keys, the system's clock and random bits.
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
            unredacted: false,
        }
    }

    /// Leaves secrets where they stand, so that the bench can tell what finding them costs. For nothing else.
    #[doc(hidden)]
    #[must_use]
    pub fn dangerously_unredacted(self) -> Self {
        Self { unredacted: true, ..self }
    }

    /// Opens the home for writing and starts the writer.
    ///
    /// # Errors
    /// [`Error::Input`] if the keys lie below the home, where agents may read; else as [`Home::create`].
    pub fn open(self) -> Result<Recorder, Error> {
        let home = if self.force_network_home {
            Home::create_even_on_network(&self.home, self.group)?
        } else {
            Home::create(&self.home, self.group)?
        };
        let (recorder, writer) = self.open_on(home, true)?;
        let thread = std::thread::Builder::new().name("tooltrail-writer".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(Error::io("start a writer for", recorder.home().root()))?;
        recorder.run_by(thread);
        Ok(recorder)
    }

    /// Recovers a home, and returns a recorder and its writer, which does nothing by itself; with `background` it
    /// flushes in a thread of its own.
    pub(crate) fn open_on(self, home: Home, background: bool) -> Result<(Recorder, Writer), Error> {
        let key = match &self.keys {
            None => None,
            Some(keys) if lies_below(keys, home.root()) => {
                return Err(Error::KeysBelowHome { keys: keys.clone() });
            }
            Some(keys) => Some(redaction_key(&home, keys, &*self.random)?),
        };
        let redactor = Arc::new(if self.unredacted { Redactor::off() } else { Redactor::with(key, &self.rules) });
        let state = Arc::new(State::default());
        let writer = Writer::open(home.clone(), Arc::clone(&redactor), &self, Arc::clone(&state), background)?;
        let retention = self.retention;
        let encoder = writer.encoder();
        Ok((Recorder::without_writer(home, redactor, encoder, retention, self.clock, state), writer))
    }
}

/// Whether a folder that may not exist yet lies below another, links resolved.
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
