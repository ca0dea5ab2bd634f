//! Keeps damaged bytes as separate files, each with a note that stays until an entry in the trail reports it.

use std::io;

use crate::clock::Date;
use crate::disk::{Disk, DiskFile};
use crate::home::OWN_FOLDER;

/// The most bytes of a user's folder name in a fragment's file name, so that the whole name is not too long.
const FOLDER_BYTES: usize = 180;

/// The most bytes of a note that are read: a few names and values.
const NOTE_BYTES_MAX: usize = 4_096;

/// The most fragments that are kept, and their total size in bytes: more than any crash produces, and small compared
/// with a trail. The oldest are removed first.
const FRAGMENTS_MAX: usize = 1_000;
const FRAGMENTS_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The most bytes of one damaged range that are kept. They are in memory for a short time; the limit is hundreds of the
/// longest lines that we write. A larger range stays unchanged.
pub(super) const KEPT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The number of days a fragment is kept: enough time to investigate what happened.
const FRAGMENT_DAYS: i64 = 90;

/// Describes damaged bytes that are kept, with the facts that the trail reports about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// The name of its file in `fragments/` and of its note in `untold/`.
    pub(crate) name: String,
    /// What happened, in one or two words.
    pub(crate) what: String,
    /// Names and values: where the bytes were and how many they are.
    pub(crate) facts: Vec<(String, String)>,
}

/// The place in a day file that a fragment came from.
pub(super) struct FragmentOrigin {
    pub(super) folder: String,
    pub(super) day: Date,
    /// The offset in bytes from the start of the file.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl Fragment {
    /// Returns the description of damaged bytes of a day file.
    pub(crate) fn of_day(what: &str, folder: &str, day: Date, offset: u64, bytes: &[u8]) -> Self {
        let mut short = folder.len().min(FOLDER_BYTES);
        while !folder.is_char_boundary(short) {
            short -= 1;
        }
        // The name contains a checksum of the bytes, so that different damage at the same offset gets its own fragment.
        let name = format!("{day}.{offset}.{:08x}.{}", crc32c::crc32c(bytes), &folder[..short]);
        let facts = [("folder", folder.to_owned()), ("day", day.to_string()), ("offset", offset.to_string())];
        Self::new(what, name, facts, bytes.len())
    }

    /// Returns the description of bytes of any file.
    pub(crate) fn new<const N: usize>(what: &str, name: String, facts: [(&str, String); N], bytes: usize) -> Self {
        let mut facts = facts.map(|(name, value)| (name.to_owned(), value)).to_vec();
        facts.push(("bytes".to_owned(), bytes.to_string()));
        facts.push(("fragment".to_owned(), name.clone()));
        Self { name, what: what.to_owned(), facts }
    }

    /// Writes the note and the bytes, and syncs both. Only after that may the bytes in the original file be replaced.
    ///
    /// The note is written first, because without a note no report would ever mention the fragment. If two fragments
    /// have the same name, their bytes follow each other in one file. A fragment that is already kept, because a
    /// process was killed before it replaced the original bytes, is not kept twice.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn keep(&self, disk: &dyn Disk, bytes: &[u8]) -> io::Result<()> {
        let facts = self.facts.iter().map(|(name, value)| format!("{name} {value}\n")).collect::<String>();
        disk.replace(&[OWN_FOLDER, "untold", &self.name], format!("{}\n{facts}", self.what).as_bytes())?;
        let path = [OWN_FOLDER, "fragments", &self.name];
        let file = disk.append(&path)?;
        let before = file.stat()?.len;
        append_once(&*file, before, bytes).inspect_err(|_| {
            // Undo the attempt: a retry writes the note again. Errors are ignored, because what remains is reported
            // anyway.
            let _ = match before {
                0 => self.discard(disk),
                _ => file.cut(before).and_then(|()| Self::told(disk, &self.name)),
            };
        })
    }

    /// Returns all fragments whose note still exists: as far as the disk shows, the trail does not report them yet.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn untold(disk: &dyn Disk) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for listed in disk.list(&[OWN_FOLDER, "untold"])? {
            // A file name that starts with a dot is an incomplete note.
            if listed.folder || listed.name.starts_with('.') {
                continue;
            }
            let file = match disk.open(&[OWN_FOLDER, "untold", &listed.name]) {
                // Not a file of ours, for example a FIFO.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => continue,
                file => file?,
            };
            let Some(file) = file else { continue };
            let mut text = vec![0; NOTE_BYTES_MAX];
            let read = file.read_at(&mut text, 0)?;
            text.truncate(read);
            let text = String::from_utf8_lossy(&text);
            let mut lines = text.lines();
            let what = lines.next().unwrap_or_default().to_owned();
            let facts = lines.filter_map(|line| line.split_once(' '));
            let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            found.push(Self { name: listed.name, what, facts });
        }
        Ok(found)
    }

    /// Returns the place of a day file's fragment and its bytes; `None` for any other fragment.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(super) fn origin(&self, disk: &dyn Disk) -> io::Result<Option<FragmentOrigin>> {
        let fact = |name: &str| self.facts.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let number = |name: &str| fact(name).and_then(|value| value.parse::<u64>().ok());
        let day = fact("day").and_then(|day| Date::parse(day));
        let bytes = number("bytes").filter(|bytes| *bytes <= KEPT_BYTES_MAX);
        let (Some(folder), Some(day), Some(offset), Some(bytes)) = (fact("folder"), day, number("offset"), bytes)
        else {
            return Ok(None);
        };
        let Some(file) = disk.open(&[OWN_FOLDER, "fragments", &self.name])? else { return Ok(None) };
        let Some(before) = file.stat()?.len.checked_sub(bytes) else { return Ok(None) };
        let mut last = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        file.read_at(&mut last, before)?;
        Ok(Some(FragmentOrigin { folder: folder.clone(), day, offset, bytes: last }))
    }

    /// Removes a fragment and its note, because its bytes turned out not to be damaged.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(super) fn discard(&self, disk: &dyn Disk) -> io::Result<()> {
        disk.remove(&[OWN_FOLDER, "fragments", &self.name])?;
        // The note is removed last: if a power cut restores the fragment's name, its note must exist too.
        disk.sync_folder(&[OWN_FOLDER, "fragments"])?;
        Self::told(disk, &self.name)
    }

    /// Removes fragments older than 90 days, and the oldest ones if there are more than 1,000 or more than 256 MiB.
    /// Fragments that the trail does not report yet stay.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn remove_old(disk: &dyn Disk, now_s: i64) -> io::Result<()> {
        let untold = disk.list(&[OWN_FOLDER, "untold"])?;
        let mut kept = Vec::new();
        for listed in disk.list(&[OWN_FOLDER, "fragments"])? {
            if let Some(stat) = disk.stat(&[OWN_FOLDER, "fragments", &listed.name])? {
                kept.push((stat.modified_s, stat.len, listed.name));
            }
        }
        // Newest first, because the newest are kept.
        kept.sort_by(|a, b| b.cmp(a));
        let mut bytes = 0;
        for (n, (modified_s, len, name)) in kept.into_iter().enumerate() {
            bytes += len;
            let is_old = now_s - modified_s > FRAGMENT_DAYS * 24 * 60 * 60;
            let is_over = n >= FRAGMENTS_MAX || bytes > FRAGMENTS_BYTES_MAX;
            if (is_old || is_over) && !untold.iter().any(|listed| listed.name == name) {
                disk.remove(&[OWN_FOLDER, "fragments", &name])?;
            }
        }
        Ok(())
    }

    /// Removes the note of a fragment, because an entry in the trail now reports it.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn told(disk: &dyn Disk, name: &str) -> io::Result<()> {
        disk.remove(&[OWN_FOLDER, "untold", name])
    }
}

/// Appends bytes to a file of this length and syncs it; appends nothing if the file already ends with these bytes.
fn append_once(file: &dyn DiskFile, len: u64, bytes: &[u8]) -> io::Result<()> {
    let mut last = vec![0; bytes.len()];
    let kept = match len.checked_sub(bytes.len() as u64) {
        Some(before) => file.read_at(&mut last, before)? == bytes.len() && last == bytes,
        None => false,
    };
    let mut written = if kept { bytes.len() } else { 0 };
    while written < bytes.len() {
        match file.append(&bytes[written..])?.taken {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            taken => written += taken,
        }
    }
    file.sync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::disk::RealDisk;

    #[test]
    fn a_fragment_is_kept_once_and_untold_until_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path(), false).unwrap();
        let day = Timestamp::from_millis(1_764_000_000_000).date();
        let long = "é".repeat(120);
        for user in ["alice", &*long] {
            let bytes = b"half a line";
            let fragment = Fragment::of_day("torn tail", user, day, 7, bytes);
            fragment.keep(&disk, bytes).unwrap();
            fragment.keep(&disk, bytes).unwrap();
            let kept = folder.path().join(OWN_FOLDER).join("fragments").join(&fragment.name);
            assert_eq!(std::fs::read(&kept).unwrap(), bytes);
            fragment.keep(&disk, b"more").unwrap();
            assert_eq!(std::fs::read(&kept).unwrap(), b"half a linemore");
            assert_eq!(Fragment::untold(&disk).unwrap(), std::slice::from_ref(&fragment));
            Fragment::told(&disk, &fragment.name).unwrap();
            assert_eq!(Fragment::untold(&disk).unwrap(), []);
        }
    }

    #[test]
    fn old_and_too_many_fragments_go_once_they_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path(), false).unwrap();
        let day = Timestamp::from_millis(1_764_000_000_000).date();
        let fragments = (0..FRAGMENTS_MAX as u64 + 2).map(|n| Fragment::of_day("torn tail", "alice", day, n, b"x"));
        let fragments = fragments.collect::<Vec<_>>();
        let kept = folder.path().join(OWN_FOLDER).join("fragments");
        std::fs::create_dir_all(&kept).unwrap();
        fragments.iter().for_each(|fragment| std::fs::write(kept.join(&fragment.name), b"x").unwrap());
        fragments[0].keep(&disk, b"x").unwrap();
        let now_s = disk.stat(&[OWN_FOLDER, "fragments", &fragments[0].name]).unwrap().unwrap().modified_s;
        let count = || std::fs::read_dir(&kept).unwrap().count();
        Fragment::remove_old(&disk, now_s).unwrap();
        assert!((FRAGMENTS_MAX..=FRAGMENTS_MAX + 1).contains(&count()), "{}", count());
        Fragment::remove_old(&disk, now_s + (FRAGMENT_DAYS + 1) * 24 * 60 * 60).unwrap();
        assert_eq!(count(), 1, "the trail has not told of it");
        Fragment::told(&disk, &fragments[0].name).unwrap();
        Fragment::remove_old(&disk, now_s + (FRAGMENT_DAYS + 1) * 24 * 60 * 60).unwrap();
        assert_eq!(count(), 0);
    }
}
