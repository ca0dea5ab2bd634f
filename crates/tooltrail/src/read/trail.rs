//! The one who answers questions about a home.

use std::path::Path;
use std::sync::Arc;

use super::locate::{cut_folders, folders};
use super::{Bounds, DayFile, Folder, Page, merge};
use crate::clock::{Clock, Date, SystemClock, Zone};
use crate::error::Error;
use crate::home::Home;
use crate::query::Question;

/// Reads a home's entries; a snapshot, safe while others write. It blocks: call it from a blocking thread.
#[derive(Debug)]
pub struct Trail {
    pub(crate) home: Home,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) zone: Zone,
    pub(crate) bounds: Bounds,
}

/// A question on its way.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) question: &'a Question,
    pub(crate) home: &'a Home,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) zone: &'a Zone,
    pub(crate) bounds: &'a Bounds,
    /// The first date of the range.
    pub(crate) first: Date,
}

impl Trail {
    /// Opens a home with the system's clock and zone.
    ///
    /// # Errors
    /// As [`Home::open`].
    pub fn open(home: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::new(Home::open(home)?, Arc::new(SystemClock::default()), Zone::system()))
    }

    /// Returns the trail of a home with a clock and a zone for naive times.
    #[must_use]
    pub fn new(home: Home, clock: Arc<dyn Clock>, zone: Zone) -> Self {
        Self { home, clock, zone, bounds: Bounds::default() }
    }

    /// Returns the trail with other bounds.
    #[must_use]
    pub fn bounded(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// Returns the newest entries that answer, newest first.
    ///
    /// # Errors
    /// [`Error::Input`] if days or limit are out of range, [`Error::Io`] if the system refuses to let us read.
    pub fn recent(&self, question: &Question) -> Result<Page, Error> {
        let asked = self.ask(question)?;
        let files = self.files(&asked)?;
        merge::newest(&asked, files)
    }

    /// Returns the folders of one user, or of all, that hold day files.
    pub(crate) fn folders(&self, user: Option<&str>) -> Result<Vec<Folder>, Error> {
        let mut found = folders(&self.home, user)?;
        if let Some(user) = user.filter(|user| user.ends_with(" chars total]")) {
            for folder in cut_folders(&self.home, user)? {
                let known = found.iter().any(|known| known.name == folder.name);
                if !known && self.user_of(&folder)? == user {
                    found.push(folder);
                }
            }
        }
        Ok(found)
    }

    pub(crate) fn ask<'a>(&'a self, question: &'a Question) -> Result<Asked<'a>, Error> {
        question.check()?;
        let today = self.clock.now().date();
        let first = today.plus_days(1 - i64::from(question.days));
        Ok(Asked { question, home: &self.home, clock: &*self.clock, zone: &self.zone, bounds: &self.bounds, first })
    }

    /// Returns the day files of the range, and of the day before: a naive time may belong to the next date.
    pub(crate) fn files(&self, asked: &Asked<'_>) -> Result<Vec<DayFile>, Error> {
        let user = asked.question.user.as_deref().or_else(|| asked.question.query.only_user());
        let from = asked.first.plus_days(-1);
        let mut files = Vec::new();
        for folder in self.folders(user)? {
            let days = folder.days.iter().filter(|day| **day >= from);
            files.extend(days.map(|day| DayFile::new(&folder.name, *day, &self.zone)));
        }
        Ok(files)
    }
}
