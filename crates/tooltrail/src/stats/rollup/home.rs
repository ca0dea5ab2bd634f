//! The rollup of the whole home for a date: its calls by hour, tool and status, from the rollups of all its users.

use std::collections::BTreeMap;

use super::bytes::{Reader, Writer};
use super::cells::{CellKey, Cells};
use super::file::FileRollup;
use super::record::{cells, read_cells, read_names, read_seen, seen, write_names};
use crate::stats::sightings::Seen;

/// The most users whose calls are counted. With more, an answer takes them from the users' rollups.
const USERS_MAX: usize = 100_000;

/// The calls of all users on a date.
#[derive(Clone, Debug, Default)]
pub(in crate::stats) struct HomeRollup {
    /// The calls of all users together, under an empty name.
    pub(in crate::stats) cells: Cells,
    /// The calls of each user, by the name in the lines.
    pub(in crate::stats) users: BTreeMap<Box<str>, u64>,
    /// The sightings near midnight, with the folders of their files.
    pub(in crate::stats) edges: Vec<(String, Seen)>,
}

/// The parts of its record.
pub(super) const PARTS: usize = 3;

impl HomeRollup {
    /// Adds the calls of a file.
    pub(super) fn add(&mut self, folder: &str, rollup: &FileRollup) {
        let user = self.cells.names.number("");
        for (key, cell) in &rollup.cells.cells {
            let tool = self.cells.names.number(rollup.cells.names.name(key.tool));
            self.cells.cells.entry(CellKey { user, tool, ..*key }).or_default().merge(cell);
            *self.users.entry(rollup.cells.names.name(key.user).into()).or_default() += cell.calls;
        }
        self.edges.extend(rollup.edges.iter().map(|seen| (folder.to_owned(), seen.clone())));
    }

    /// Whether it has so few users that it is of use.
    pub(super) fn is_small(&self) -> bool {
        self.users.len() <= USERS_MAX
    }

    /// Returns its bytes: the calls by day and of each user, the calls by hour, the sightings near midnight.
    pub(super) fn encode(&self) -> [Vec<u8>; PARTS] {
        let (mut days, mut hours, mut edges) = (Writer::default(), Writer::default(), Writer::default());
        write_names(&mut days, &self.cells.names);
        cells(&mut days, &self.cells.by_day());
        days.number(self.users.len() as u64);
        for (user, calls) in &self.users {
            days.text(user);
            days.number(*calls);
        }
        cells(&mut hours, &self.cells);
        edges.number(self.edges.len() as u64);
        for (folder, edge) in &self.edges {
            edges.text(folder);
            seen(&mut edges, edge);
        }
        [days.0, hours.0, edges.0]
    }

    /// Reads its calls by day or by hour; `None` if the bytes are something else.
    pub(super) fn decode(days: &[u8], hours: Option<&[u8]>, edges: &[u8]) -> Option<Self> {
        let mut reader = Reader(days);
        let names = read_names(&mut reader)?;
        let mut home = Self { cells: read_cells(&mut reader, &names)?, ..Self::default() };
        for _ in 0..reader.count()? {
            home.users.insert(reader.text()?, reader.number()?);
        }
        let mut is_whole = reader.0.is_empty();
        if let Some(hours) = hours {
            let mut reader = Reader(hours);
            home.cells = read_cells(&mut reader, &names)?;
            is_whole &= reader.0.is_empty();
        }
        let mut reader = Reader(edges);
        for _ in 0..reader.count()? {
            home.edges.push((reader.text()?.into_string(), read_seen(&mut reader)?));
        }
        (is_whole && reader.0.is_empty()).then_some(home)
    }
}
