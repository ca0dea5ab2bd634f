//! Finds which day file a keyed name belongs to, for people: a name can only be computed, not read.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::changes::Day;
use crate::clock::{Date, Timestamp};
use crate::disk::Disk;
use crate::home::OWN_FOLDER;
use crate::seal::leaves::SEAL_FOLDER;
use crate::seal::name::NAMES_FOLDER;
use crate::seal::tree::Hash;
use crate::seal::verify::regular::name_key;

/// How many days before the seal of a file its date is looked for, if no cache names it. Imports bring older files.
const DAYS_BEFORE: i64 = 400;

/// The most names that are computed: about a second.
const TRIES_MAX: usize = 1_000_000;

/// The day files of keyed names, as far as they were found.
#[derive(Debug, Default)]
pub(super) struct Labels(HashMap<Hash, Day>);

impl Labels {
    /// Looks for the day files of these names, each with the time of a head in milliseconds.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(super) fn find(disk: &dyn Disk, names: impl Iterator<Item = (Hash, u64)>) -> io::Result<Self> {
        let mut labels = Self::default();
        let mut wanted = HashSet::new();
        let mut near = HashSet::new();
        for (name, at) in names {
            wanted.insert(name);
            let date = Timestamp::from_millis(i64::try_from(at).unwrap_or(0)).date();
            near.insert(date);
        }
        let near = near.into_iter().flat_map(|date| (-DAYS_BEFORE..=2).map(move |days| date.plus_days(days)));
        let near = near.collect::<HashSet<_>>();
        let mut tries = 0;
        for user in disk.list(&[OWN_FOLDER, NAMES_FOLDER])?.into_iter().filter(|listed| !listed.folder) {
            let folder = &*user.name;
            let Some(key) = name_key(disk, folder)? else { continue };
            let caches = disk.list(&[OWN_FOLDER, SEAL_FOLDER, folder]).unwrap_or_default();
            let cached = caches.iter().filter_map(|cache| Date::parse(cache.name.get(..10)?));
            for date in cached.chain(near.iter().copied()) {
                if wanted.is_empty() || tries == TRIES_MAX {
                    return Ok(labels);
                }
                tries += 1;
                let name = key.of_file(folder, date);
                if wanted.remove(&name) {
                    labels.0.insert(name, (folder.to_owned(), date));
                }
            }
        }
        Ok(labels)
    }

    pub(super) fn get(&self, name: &Hash) -> Option<&Day> {
        self.0.get(name)
    }
}
