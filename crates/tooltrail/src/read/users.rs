//! Who has a trail, how long it is, and when it was last written to.

use std::collections::BTreeMap;

use super::locate::is_hashed;
use super::scan::{Looking, Outlook, Scan};
use super::{DayFile, Folder, Trail};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::home::user_of;
use crate::query::Line;

/// One user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserSummary {
    /// The id.
    pub user: String,
    /// Entries of all days.
    pub entries: u64,
    /// The newest entry's `ts` as it stands.
    pub last: Option<String>,
}

/// A page of users.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UsersPage {
    /// In the order of their ids.
    pub users: Vec<UserSummary>,
    /// The user after whom the next page begins, where there is one.
    pub next: Option<String>,
}

impl Trail {
    /// Returns who has a trail, all of them or only this one, in the order of their ids.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses to let us read.
    pub fn users(&self, only: Option<&str>) -> Result<Vec<UserSummary>, Error> {
        Ok(self.users_page(only, None, usize::MAX)?.users)
    }

    /// Returns at most `limit` users after one, in the order of their ids; only the page's files are read.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses to let us read.
    pub fn users_page(&self, only: Option<&str>, after: Option<&str>, limit: usize) -> Result<UsersPage, Error> {
        let mut by_user = BTreeMap::<String, Vec<Folder>>::new();
        for folder in self.folders(only)? {
            let user = match only {
                Some(user) => user.to_owned(),
                None => self.user_of(&folder)?,
            };
            if after.is_none_or(|after| *user > *after) {
                by_user.entry(user).or_default().push(folder);
            }
        }
        let mut page = UsersPage::default();
        for (user, folders) in by_user {
            if page.users.len() == limit {
                page.next = page.users.last().map(|last| last.user.clone());
                break;
            }
            page.users.push(self.summary(user, &folders)?);
        }
        Ok(page)
    }

    fn summary(&self, user: String, folders: &[Folder]) -> Result<UserSummary, Error> {
        let (mut entries, mut newest) = (0, None::<(Timestamp, String)>);
        for folder in folders {
            for day in &folder.days {
                self.each(DayFile::new(&folder.name, *day, &self.zone), |ts, line| {
                    entries += 1;
                    if newest.as_ref().is_none_or(|(last, _)| ts > *last) {
                        let text = std::str::from_utf8(line).ok().and_then(|text| Line::parse(text, &self.zone));
                        if let Some(stands) = text.and_then(|line| line.string("ts")) {
                            newest = Some((ts, stands.into_owned()));
                        }
                    }
                    true
                })?;
            }
        }
        Ok(UserSummary { user, entries, last: newest.map(|(_, ts)| ts) })
    }

    /// Returns the user of a folder; a name that does not hold the id is asked of the newest entry inside.
    pub(super) fn user_of(&self, folder: &Folder) -> Result<String, Error> {
        if let Some(user) = user_of(&folder.name) {
            return Ok(user);
        }
        let mut user = None;
        if is_hashed(&folder.name) {
            for day in &folder.days {
                self.each(DayFile::new(&folder.name, *day, &self.zone), |_, line| {
                    let entry = std::str::from_utf8(line).ok().and_then(|text| Line::parse(text, &self.zone));
                    user = user.take().or_else(|| Some(entry?.string("user")?.into_owned()));
                    user.is_none()
                })?;
                if user.is_some() {
                    break;
                }
            }
        }
        Ok(user.unwrap_or_else(|| folder.name.clone()))
    }

    /// Calls with each line of a file, from its end, until the call says no.
    fn each(&self, file: DayFile, mut call: impl FnMut(Timestamp, &[u8]) -> bool) -> Result<(), Error> {
        let (mut scan, mut looking) = (Scan::new(file), Looking::new(&self.home, &self.zone));
        let mut go_on = true;
        while go_on {
            let outlook = scan.step(&mut looking, |_, ts, line, _| go_on = go_on && call(ts, line))?;
            go_on &= outlook != Outlook::Done;
        }
        Ok(())
    }
}
