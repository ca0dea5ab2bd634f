//! Where an erasure finds its files.

use crate::clock::Date;
use crate::disk::Disk;
use crate::home::{OWN_FOLDER, TRAIL_FOLDER, day_of};

/// The path of the note of an erasure that is under way.
pub(super) const ERASING: [&str; 2] = [OWN_FOLDER, "erasing"];

/// Returns the dates of the day files of a user's folder.
pub(super) fn day_files(disk: &dyn Disk, folder: &str) -> Vec<Date> {
    let listed = disk.list(&[folder, TRAIL_FOLDER]).unwrap_or_default();
    listed.iter().filter_map(|file| day_of(&file.name)).collect()
}
