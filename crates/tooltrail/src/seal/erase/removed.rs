//! Tells a file that an erase record names from a file that was made later under the same name.
//!
//! A record of the log removes only a file that holds against the heads before the record. A record that is only beside
//! the key belongs to a later time than the home, which was restored; it removes the file of its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use crate::clock::Date;
use crate::disk::Disk;
use crate::home::{TRAIL_FOLDER, day_name};
use crate::seal::growth::ErasedLines;
use crate::seal::record::{Head, Record, What};
use crate::seal::sealer::each_signed;
use crate::seal::tree::Hash;
use crate::seal::verify::Checked;

/// The files that erase records name.
#[derive(Debug, Default)]
pub(super) struct RemovedFiles {
    /// By keyed name: the heads before each record of the log.
    in_log: HashMap<Hash, Vec<Vec<(u64, Head)>>>,
    /// The names in records that are only beside the key.
    later: BTreeSet<Hash>,
    erased: ErasedLines,
}

impl RemovedFiles {
    /// Gathers the files that these records name. `signed` are those of the log.
    pub(super) fn of(disk: &dyn Disk, kept: &[Record], signed: &[Record]) -> io::Result<Self> {
        let mut removed = Self::default();
        let known = signed.iter().map(Record::encode).collect::<BTreeSet<_>>();
        for record in kept.iter().filter(|record| !known.contains(&record.encode())) {
            removed.later.extend(names(record));
        }
        let wanted = signed.iter().flat_map(names).collect::<BTreeSet<_>>();
        let mut heads = BTreeMap::<Hash, Vec<(u64, Head)>>::new();
        each_signed(disk, |index, entry| match Record::decode(entry) {
            Some(Record::Head(head)) if wanted.contains(&head.name) => {
                heads.entry(head.name).or_default().push((index, head));
            }
            Some(Record::Event(event)) => match event.what {
                What::ErasedFiles(names) => {
                    for name in names {
                        removed.in_log.entry(name).or_default().push(heads.remove(&name).unwrap_or_default());
                    }
                }
                What::Pruned(names) => names.iter().for_each(|name| drop(heads.remove(name))),
                What::ErasedLines(lines) => {
                    lines.into_iter().for_each(|line| removed.erased.add(index, line));
                }
                _ => {}
            },
            _ => {}
        })?;
        Ok(removed)
    }

    /// Whether the file of this name is one that was erased. `is_noted`: the note of the erasure names the file, which
    /// decides about a file that was never sealed.
    pub(super) fn has(
        &self,
        disk: &dyn Disk,
        (folder, date): (&str, Date),
        name: Hash,
        is_noted: bool,
    ) -> io::Result<bool> {
        if self.later.contains(&name) {
            return Ok(true);
        }
        let Some(records) = self.in_log.get(&name) else { return Ok(false) };
        let Some(file) = disk.open(&[folder, TRAIL_FOLDER, &day_name(date)])? else { return Ok(false) };
        for heads in records {
            if heads.is_empty() {
                if is_noted {
                    return Ok(true);
                }
                continue;
            }
            let len = file.stat()?.len;
            let checked = Checked { disk, folder, date, name, file: Some(&*file), len, heads, erased: &self.erased };
            if checked.holds()? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the keyed names of the files that were erased as a whole.
fn names(record: &Record) -> Vec<Hash> {
    match record {
        Record::Event(event) => match &event.what {
            What::ErasedFiles(names) => names.clone(),
            _ => Vec::new(),
        },
        Record::Head(_) => Vec::new(),
    }
}
