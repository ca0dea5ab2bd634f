//! The rollup of the whole home for a date: its calls by hour, tool and status, from the rollups of all its users.

use std::collections::BTreeMap;

use super::bytes::{Reader, Writer};
use super::cells::{CellKey, Cells};
use super::day_file::FileRollup;
use super::record::{cells, read_cells, read_names, read_seen, seen, write_names};
use super::sightings::Seen;

/// The most users whose calls are counted. With more, an answer takes them from the users' rollups.
const USERS_MAX: usize = 100_000;

/// The calls of all users on a date.
#[derive(Clone, Debug, Default)]
pub(crate) struct HomeRollup {
    /// The calls of all users together, under an empty name.
    pub(crate) cells: Cells,
    /// The same by hour and status alone.
    pub(crate) by_status: Cells,
    /// The calls of each user, by the name in the lines.
    pub(crate) users: BTreeMap<Box<str>, u64>,
    /// The sightings near midnight, with the folders of their files.
    pub(crate) edges: Vec<(String, Seen)>,
}

/// The parts of its record.
pub(super) const PARTS: usize = 4;

/// Which of its calls are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HomeCalls {
    /// By day, tool and status.
    Days,
    /// By hour, tool and status.
    Hours,
    /// By hour and status.
    Statuses,
}

impl HomeRollup {
    /// Adds the calls of a file.
    pub(super) fn add(&mut self, folder: &str, rollup: &FileRollup) {
        let user = self.cells.names.number("");
        for (key, cell) in &rollup.cells.cells {
            let tool = self.cells.names.number(rollup.cells.names.name(key.tool));
            self.cells.cells.entry(CellKey { user, tool, ..*key }).or_default().merge(cell);
            let all = self.by_status.names.number("");
            self.by_status.cells.entry(CellKey { user: all, tool: all, ..*key }).or_default().merge(cell);
            *self.users.entry(rollup.cells.names.name(key.user).into()).or_default() += cell.calls;
        }
        self.edges.extend(rollup.edges.iter().map(|seen| (folder.to_owned(), seen.clone())));
    }

    /// Whether it has so few users that it is of use.
    pub(super) fn is_small(&self) -> bool {
        self.users.len() <= USERS_MAX
    }

    /// Keeps only the distribution of many numbers.
    pub(super) fn thin_out(&mut self) {
        self.cells.thin_out();
        self.by_status.thin_out();
    }

    /// Returns its parts: the calls by day, by hour, by hour and status; and those of each user with the sightings near
    /// midnight.
    pub(super) fn encode(&self) -> [Vec<u8>; PARTS] {
        let part = |calls: &Cells| {
            let mut writer = Writer::default();
            write_names(&mut writer, &calls.names);
            cells(&mut writer, calls);
            writer.0
        };
        let mut others = Writer::default();
        others.number(self.users.len() as u64);
        for (user, calls) in &self.users {
            others.text(user);
            others.number(*calls);
        }
        others.number(self.edges.len() as u64);
        for (folder, edge) in &self.edges {
            others.text(folder);
            seen(&mut others, edge);
        }
        [part(&self.cells.by_day()), part(&self.cells), part(&self.by_status), others.0]
    }

    /// Reads one of the parts with calls, and the last part; `None` if the bytes are something else.
    pub(super) fn decode(calls: &[u8], others: &[u8]) -> Option<Self> {
        let (mut calls, mut others) = (Reader(calls), Reader(others));
        let names = read_names(&mut calls)?;
        let mut home = Self { cells: read_cells(&mut calls, &names)?, ..Self::default() };
        for _ in 0..others.count()? {
            home.users.insert(others.text()?, others.number()?);
        }
        for _ in 0..others.count()? {
            home.edges.push((others.text()?.into_string(), read_seen(&mut others)?));
        }
        (calls.0.is_empty() && others.0.is_empty()).then_some(home)
    }
}
