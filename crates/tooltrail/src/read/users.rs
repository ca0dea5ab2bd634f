//! Lists the users that have a trail, with the number of entries and the time of the newest one.

use std::collections::BTreeMap;

use super::locate::{Owned, is_hashed};
use super::page::Unreadable;
use super::scan::{Scan, ScanBound, ScanContext};
use super::{DayFile, Folder, Skipped, Trail};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::home::user_of;
use crate::query::{Line, Question};

/// One user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserSummary {
    /// The id.
    pub user: String,
    /// The number of entries of all days.
    pub entries: u64,
    /// The `ts` of the newest entry, unchanged.
    pub last: Option<String>,
}

/// A page of users.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UsersPage {
    /// The users, ordered by id.
    pub users: Vec<UserSummary>,
    /// The user after whom the next page starts, if there is one.
    pub next: Option<String>,
    /// Counts of lines that are not entries, and of files that could not be read.
    pub skipped: Skipped,
    /// The first ten files and folders that could not be read, by their paths below the home.
    pub unreadable_names: Vec<String>,
    /// False if a limit was reached, or something could not be read.
    pub complete: bool,
}

impl Trail {
    /// Returns all users that have a trail, or only this one, ordered by id.
    ///
    /// # Errors
    /// [`Error::Io`] if the system does not allow reading.
    pub fn users(&self, only: Option<&str>) -> Result<Vec<UserSummary>, Error> {
        let question = Question { user: only.map(str::to_owned), limit: usize::MAX, ..Question::new() };
        Ok(self.users_page(&question, None)?.users)
    }

    /// Returns the users after `after`, ordered by id. It returns only the question's user if the question names one,
    /// and at most as many users as the question's limit. The question's query and days are ignored. Only files of the
    /// page are read.
    ///
    /// The limits in bytes and time are those of a page of entries. A page that reaches them contains the users read so
    /// far, at least one.
    ///
    /// # Errors
    /// [`Error::Io`] if the home itself cannot be listed.
    pub fn users_page(&self, question: &Question, after: Option<&str>) -> Result<UsersPage, Error> {
        let (start, bound) = (self.clock.monotonic(), self.bounds.page);
        let mut context = ScanContext::new(&self.home, &self.zone);
        let owned = question.user.as_deref().map(|user| Owned::by(user, question.exact_user));
        let mut by_user = BTreeMap::<String, Vec<Folder>>::new();
        for folder in self.folders(owned.as_ref(), &mut context.unreadable)? {
            let user = match question.user.as_deref() {
                Some(user) => user.to_owned(),
                None => self.user_of(&folder, &mut context.unreadable),
            };
            if after.is_none_or(|after| *user > *after) {
                by_user.entry(user).or_default().push(folder);
            }
        }
        let mut page = UsersPage { complete: true, ..UsersPage::default() };
        for (user, folders) in by_user {
            let spent = context.scanned.bytes >= bound.bytes_max
                || self.clock.monotonic() - start >= bound.time_max
                || self.cancel.is_cancelled();
            if page.users.len() == question.limit || (spent && !page.users.is_empty()) {
                page.next = page.users.last().map(|last| last.user.clone());
                page.complete = !spent;
                break;
            }
            page.users.push(self.summary(&mut context, user, &folders));
        }
        (page.skipped, page.unreadable_names) = context.left_out();
        page.complete &= page.skipped.unreadable == 0 && !self.lacks(owned.as_ref());
        Ok(page)
    }

    fn summary(&self, context: &mut ScanContext<'_>, user: String, folders: &[Folder]) -> UserSummary {
        let (mut entries, mut newest) = (0, None::<(Timestamp, String)>);
        for folder in folders {
            for day in &folder.days {
                each(context, DayFile::new(&folder.name, *day, &self.zone), |ts, line| {
                    entries += 1;
                    if newest.as_ref().is_none_or(|(last, _)| ts > *last) {
                        let text = std::str::from_utf8(line).ok().and_then(|text| Line::parse(text, &self.zone));
                        if let Some(stands) = text.and_then(|line| line.string("ts")) {
                            newest = Some((ts, stands.into_owned()));
                        }
                    }
                    true
                });
            }
        }
        UserSummary { user, entries, last: newest.map(|(_, ts)| ts) }
    }

    /// Returns the user of a folder. If the name does not contain the id, it is read from the newest entry in the
    /// folder.
    pub(super) fn user_of(&self, folder: &Folder, unreadable: &mut Unreadable) -> String {
        if let Some(user) = user_of(&folder.name) {
            return user;
        }
        let mut user = None;
        if is_hashed(&folder.name) {
            let mut context = ScanContext::new(&self.home, &self.zone);
            for day in &folder.days {
                each(&mut context, DayFile::new(&folder.name, *day, &self.zone), |_, line| {
                    let entry = std::str::from_utf8(line).ok().and_then(|text| Line::parse(text, &self.zone));
                    user = user.take().or_else(|| Some(entry?.string("user")?.into_owned()));
                    user.is_none()
                });
                if user.is_some() {
                    break;
                }
            }
            context.unreadable.names().iter().for_each(|name| unreadable.note(&[name]));
        }
        user.unwrap_or_else(|| folder.name.clone())
    }
}

/// Calls `call` with each line of a file, from its end, until it returns false.
fn each(context: &mut ScanContext<'_>, file: DayFile, mut call: impl FnMut(Timestamp, &[u8]) -> bool) {
    let mut scan = Scan::new(file);
    let mut go_on = true;
    while go_on {
        let bound = scan.step(context, |_, ts, line, _| go_on = go_on && call(ts, line));
        go_on &= bound != ScanBound::Done;
    }
}
