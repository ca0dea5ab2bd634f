//! Answers questions about a home.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::locate::{Owned, cut_folders, folders};
use super::page::Unreadable;
use super::{Bounds, Cancel, Folder, Page, merge};
use crate::clock::{Clock, Date, SystemClock, Zone};
use crate::error::Error;
use crate::home::Home;
use crate::query::Question;

/// Reads a home's entries. Each answer is a snapshot, and other processes may write at the same time. Calls block, so
/// async code must call it from a blocking thread.
///
/// ```
/// use tooltrail::{Call, Question, Recorder, Trail, Zone};
///
/// # let folder = tempfile::tempdir()?;
/// # let home = folder.path();
/// let recorder = Recorder::open(home)?;
/// recorder.record(&Call::new("alice", "http.get", r#"{"url":"https://example.org"}"#).error("timed out"));
/// recorder.flush()?;
///
/// let trail = Trail::open(home)?;
/// let page = trail.recent(&Question::parse("status=error last=1h")?)?;
/// for entry in page.entries(&Zone::UTC) {
///     assert_eq!(entry?.tool, "http.get");
/// }
/// assert_eq!(page.lines.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Trail {
    pub(crate) home: Home,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) zone: Zone,
    pub(crate) bounds: Bounds,
    pub(crate) cancel: Cancel,
    /// Folders with accepted entries that are not in a day file yet.
    pub(crate) lacking: Arc<BTreeSet<String>>,
}

/// A question with everything that is needed to answer it.
#[derive(Debug)]
pub(crate) struct PageRequest<'a> {
    pub(crate) question: &'a Question,
    pub(crate) home: &'a Home,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) zone: &'a Zone,
    pub(crate) bounds: &'a Bounds,
    pub(crate) cancel: &'a Cancel,
    /// The first date of the range, and the last one if there is one.
    pub(crate) first: Date,
    pub(crate) last: Option<Date>,
}

impl Trail {
    /// Returns the home that it reads.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Opens a home with the system's clock and zone.
    ///
    /// # Errors
    /// As [`Home::open`].
    pub fn open(home: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::new(Home::open(home)?, Arc::new(SystemClock::default()), Zone::system()))
    }

    /// Returns the trail of a home with this clock, and this zone for times without a zone.
    #[must_use]
    pub fn new(home: Home, clock: Arc<dyn Clock>, zone: Zone) -> Self {
        Self { home, clock, zone, bounds: Bounds::default(), cancel: Cancel::default(), lacking: Arc::default() }
    }

    /// Returns the trail with other limits.
    #[must_use]
    pub fn bounded(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// Returns the same trail for a question that can be cancelled. A cancelled question ends soon with a partial
    /// answer.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        let (home, clock, zone) = (self.home.clone(), Arc::clone(&self.clock), self.zone.clone());
        let (cancel, lacking) = (cancel.clone(), Arc::clone(&self.lacking));
        Self { home, clock, zone, bounds: self.bounds, cancel, lacking }
    }

    /// Returns the trail with the state of its recorder: folders with accepted entries that are not in a day file yet,
    /// from [`Recorder::waiting_folders`]. Answers that lack these entries are marked as incomplete.
    ///
    /// [`Recorder::waiting_folders`]: crate::Recorder::waiting_folders
    #[must_use]
    pub fn lacking(self, lacking: Arc<BTreeSet<String>>) -> Self {
        Self { lacking, ..self }
    }

    /// Whether an answer about one user, or about all, lacks entries that were accepted.
    pub(crate) fn lacks(&self, owned: Option<&Owned>) -> bool {
        self.lacking.iter().any(|folder| owned.is_none_or(|owned| owned.holds(folder, None)))
    }

    /// Returns the zone for times without a zone.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Returns the newest entries that match, newest first.
    ///
    /// # Errors
    /// [`Error::Input`] if days or limit are out of range, [`Error::Io`] if the system does not allow reading.
    pub fn recent(&self, question: &Question) -> Result<Page, Error> {
        merge::newest(self, &self.ask(question)?)
    }

    /// Returns the folders of one user, or of all, that contain day files.
    pub(crate) fn folders(&self, owned: Option<&Owned>, unreadable: &mut Unreadable) -> Result<Vec<Folder>, Error> {
        let mut found = folders(&self.home, owned, unreadable)?;
        if let Some(user) = owned.and_then(Owned::clipped) {
            let known = found.iter().map(|folder| folder.name.clone()).collect::<HashSet<_>>();
            for folder in cut_folders(&self.home, user, unreadable)? {
                if !known.contains(&folder.name) && self.user_of(&folder, unreadable) == user {
                    found.push(folder);
                }
            }
        }
        Ok(found)
    }

    /// Returns the folders that a question asks for, and how many could not be read.
    pub(crate) fn folders_of(&self, asked: &PageRequest<'_>) -> Result<(Vec<Folder>, u64), Error> {
        let mut unreadable = Unreadable::default();
        let folders = self.folders(asked.owned().as_ref(), &mut unreadable)?;
        Ok((folders, unreadable.count()))
    }

    pub(crate) fn ask<'a>(&'a self, question: &'a Question) -> Result<PageRequest<'a>, Error> {
        question.check()?;
        let (first, last) = question.window(self.clock.now());
        let (home, clock, zone, bounds) = (&self.home, &*self.clock, &self.zone, &self.bounds);
        Ok(PageRequest { question, home, clock, zone, bounds, cancel: &self.cancel, first, last })
    }
}

impl PageRequest<'_> {
    /// Returns whose folders the question asks for, `None` for all users.
    pub(crate) fn owned(&self) -> Option<Owned> {
        owned(self.question)
    }

    /// Whether files of this date can contain a match: a time without a zone may belong to the date before or after.
    pub(crate) fn may_hold(&self, day: Date) -> bool {
        day >= self.first.plus_days(-1) && self.last.is_none_or(|last| day <= last.plus_days(1))
    }
}

/// Returns whose folders a question asks for, `None` for all users.
pub(super) fn owned(question: &Question) -> Option<Owned> {
    let named = question.user.as_deref().map(|user| Owned::by(user, question.exact_user));
    named.or_else(|| question.query.only_user().map(|user| Owned::by(user, false)))
}
