//! The sightings near midnight that wait for those in the file of the other day.

use std::collections::{BTreeMap, HashSet};

use crate::clock::Date;
use crate::rollup::{Seen, Sightings, midnight_of};

/// The sightings near midnight that wait for those of the other side.
#[derive(Debug, Default)]
pub(super) struct Midnights {
    /// By the day that begins at midnight and by folder, each with the date of its file.
    pub(super) edges: BTreeMap<(Date, String), Vec<(Date, Seen)>>,
    /// How many sightings wait.
    pub(super) count: usize,
    /// The files whose sightings near midnight are all here, if they have any.
    pub(super) known: HashSet<(Date, String)>,
}

impl Midnights {
    /// Adds all sightings near midnight of a file. Which calls they are does not depend on other files.
    pub(super) fn add(&mut self, folder: &str, day: Date, edges: Vec<Seen>) {
        self.count += edges.len();
        let mut calls = Sightings::default();
        let alone = edges.into_iter().filter_map(|seen| calls.add(seen)).map(|seen| (day, vec![seen]));
        let alone = alone.collect::<Vec<_>>();
        let joined = calls.into_calls().map(|call| (midnight_of(&call, day).unwrap_or(day), call.into_all().collect()));
        for (midnight, seen) in alone.into_iter().chain(joined) {
            let edges = self.edges.entry((midnight, folder.to_owned())).or_default();
            edges.extend(seen.into_iter().map(|seen| (day, seen)));
        }
    }
}
