//! Finds the day files of a home, and chooses those that the retention does not keep.

use std::collections::BTreeMap;
use std::io;

use crate::clock::{Clock, Date};
use crate::disk::{DiskFile, is_trouble};
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER, TRAIL_FOLDER, day_name, day_of, user_folders};
use crate::retention::{Limit, Retention, Size};

/// The path of the note with the day whose files are being removed. A prune that is killed leaves it.
pub(super) const UNDER_WAY: [&str; 2] = [OWN_FOLDER, "prune"];

/// The bytes that are read at once to count lines.
const BLOCK: usize = 1024 * 1024;

/// A day that a prune removes or has removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrunedDay {
    /// The day.
    pub day: Date,
    /// The limit that the day exceeds.
    pub limit: Limit,
    /// The number of its day files, of all users.
    pub files: u64,
    /// The number of entries in these files.
    pub entries: u64,
    /// The number of bytes in these files.
    pub bytes: u64,
    /// The number of its files that stay for now, because they have grown meanwhile or have unflushed lines in a
    /// journal.
    pub left: u64,
}

/// The days to remove, oldest first, each with its files.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) days: Vec<(PrunedDay, Vec<PrunableFile>)>,
    /// The names of the user folders. Each is stored only once, because a home may have many users and days.
    pub(super) folders: Vec<String>,
    /// Whether an earlier prune was interrupted while it removed the files of a day.
    pub(super) resumed: bool,
}

/// A day file to remove.
#[derive(Clone, Copy, Debug)]
pub(super) struct PrunableFile {
    /// The index of its folder in [`Chosen::folders`].
    pub(super) folder: usize,
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

/// Returns the days that a prune would remove. Removes nothing.
///
/// # Errors
/// As [`Recorder::prune`](crate::Recorder::prune).
pub fn would_prune(home: &Home, retention: &Retention, clock: &dyn Clock) -> Result<Vec<PrunedDay>, Error> {
    Ok(chosen(home, retention, clock.now().date())?.days.into_iter().map(|(day, _)| day).collect())
}

/// Returns the days to remove, with their files.
///
/// # Errors
/// As [`Recorder::prune`](crate::Recorder::prune).
pub(super) fn chosen(home: &Home, retention: &Retention, today: Date) -> Result<Chosen, Error> {
    retention.check()?;
    let counted = retention.max_entries.is_some();
    let capped = counted || retention.max_bytes.is_some();
    let mut sizes = BTreeMap::<Date, Size>::new();
    each_folder(home, |folder, days| {
        for day in days {
            // A limit by age needs only the names of the files.
            let size = if capped { size(home, folder, day, counted)? } else { Some(Size::default()) };
            if let Some(size) = size {
                let sum = sizes.entry(day).or_default();
                (sum.entries, sum.bytes) = (sum.entries + size.entries, sum.bytes + size.bytes);
            }
        }
        Ok(())
    })?;
    let mut limits = retention.choose(&sizes, today);
    // The rest of an interrupted day may be within the limits now, but the day was already recorded as removed.
    let under_way = under_way(home)?;
    if let Some((day, limit)) = under_way.filter(|(day, _)| retention.may_go(*day, today)) {
        limits.entry(day).or_insert(limit);
    }
    let chosen = if limits.is_empty() { Chosen::default() } else { found(home, &limits)? };
    Ok(Chosen { resumed: under_way.is_some(), ..chosen })
}

/// Returns the files of these days. A day without files is left out.
fn found(home: &Home, limits: &BTreeMap<Date, Limit>) -> Result<Chosen, Error> {
    let mut folders = Vec::<String>::new();
    let mut files = BTreeMap::<Date, Vec<PrunableFile>>::new();
    each_folder(home, |folder, days| {
        for day in days.into_iter().filter(|day| limits.contains_key(day)) {
            let Some(Size { entries, bytes }) = size(home, folder, day, true)? else { continue };
            if folders.last().is_none_or(|last| last != folder) {
                folders.push(folder.to_owned());
            }
            files.entry(day).or_default().push(PrunableFile { folder: folders.len() - 1, bytes, entries });
        }
        Ok(())
    })?;
    let day = |(day, files): (Date, Vec<PrunableFile>)| {
        let pruned = PrunedDay {
            day,
            limit: limits[&day],
            files: files.len() as u64,
            entries: files.iter().map(|file| file.entries).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            left: 0,
        };
        (pruned, files)
    };
    Ok(Chosen { days: files.into_iter().map(day).collect(), folders, resumed: false })
}

/// Returns the names of the user folders.
pub(super) fn folder_names(home: &Home) -> Result<Vec<String>, Error> {
    user_folders(&**home.disk()).map_err(Error::io("list", home.root()))
}

/// Calls `call` for each user folder with the days of its files.
fn each_folder(home: &Home, mut call: impl FnMut(&str, Vec<Date>) -> Result<(), Error>) -> Result<(), Error> {
    let disk = &**home.disk();
    for user in folder_names(home)? {
        let path = home.root().join(&user).join(TRAIL_FOLDER);
        let listed = plain(disk.list(&[&user, TRAIL_FOLDER])).map_err(Error::io("list", &path))?;
        let files = listed.into_iter().flatten().filter(|file| !file.folder);
        call(&user, files.filter_map(|file| day_of(&file.name)).collect())?;
    }
    Ok(())
}

/// Returns the size of a day file; its entries are 0 unless `counted`. Returns `None` if the name is not a regular file
/// with one hard link.
fn size(home: &Home, folder: &str, day: Date, counted: bool) -> Result<Option<Size>, Error> {
    let path = home.day_path(folder, day);
    let Some((file, bytes)) = day_file(home, folder, day).map_err(Error::io("look at", &path))? else {
        return Ok(None);
    };
    let entries = if counted { count(&*file).map_err(Error::io("read", &path))? } else { 0 };
    Ok(Some(Size { entries, bytes }))
}

/// Opens a day file and returns it with its length; `None` if the name is not a regular file with one hard link.
pub(super) fn day_file(home: &Home, folder: &str, day: Date) -> io::Result<Option<(Box<dyn DiskFile>, u64)>> {
    let opened = plain(home.disk().open(&[folder, TRAIL_FOLDER, &day_name(day)]))?.flatten();
    let Some(file) = opened else { return Ok(None) };
    let stat = file.stat()?;
    Ok((stat.links == 1).then_some((file, stat.len)))
}

/// Counts the lines of a file.
fn count(file: &dyn DiskFile) -> io::Result<u64> {
    let (mut block, mut at, mut lines) = (vec![0; BLOCK], 0, 0);
    loop {
        let read = file.read_at(&mut block, at)?;
        if read == 0 {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', &block[..read]).count() as u64;
        at += read as u64;
    }
}

/// Returns the day that an interrupted prune was removing, with its limit.
fn under_way(home: &Home) -> Result<Option<(Date, Limit)>, Error> {
    let read = || {
        let Some(file) = home.disk().open(&UNDER_WAY)? else { return Ok(None) };
        let mut bytes = [0; 64];
        let read = file.read_at(&mut bytes, 0)?;
        let text = std::str::from_utf8(&bytes[..read]).unwrap_or("");
        let words = text.trim_end().split_once(' ');
        Ok(words.and_then(|(day, limit)| Date::parse(day).zip(Limit::parse(limit))))
    };
    read().map_err(Error::io("read", &home.root().join(UNDER_WAY.join("/"))))
}

/// Returns `None` instead of an error if the name is not a regular file or folder.
pub(super) fn plain<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error) if !is_trouble(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
