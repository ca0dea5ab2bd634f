//! Damaged bytes, kept as files of their own, each with a note until the trail tells of it.

use std::io;

use crate::clock::Date;
use crate::disk::{Disk, DiskFile};
use crate::home::OWN_FOLDER;

/// Bytes of a fragment's folder part that fit a file name together with the rest of it.
const FOLDER_BYTES: usize = 180;

/// Bytes of a note: a few names and values.
const NOTE_BYTES_MAX: usize = 4_096;

/// Fragments that are kept, and their bytes in all: more than any crash leaves, and little beside a trail. The oldest go.
const FRAGMENTS_MAX: usize = 1_000;
const FRAGMENTS_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes of one damaged place that are kept, in memory for a while: hundreds of the longest lines that we write. A longer
/// one is left as it is.
pub(super) const KEPT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How long a fragment is kept: time enough to look into what happened.
const FRAGMENT_DAYS: i64 = 90;

/// Bytes that are kept, and what the trail is to tell of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// The name of its file in `fragments/`, and of its note in `untold/`.
    pub(crate) name: String,
    /// What happened, in a word or two.
    pub(crate) what: String,
    /// Where and how much.
    pub(crate) facts: Vec<(String, String)>,
}

/// Where a fragment stood in a day file.
pub(super) struct FragmentOrigin {
    pub(super) folder: String,
    pub(super) day: Date,
    /// In bytes from the file's start.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl Fragment {
    /// Describes damaged bytes of a day file.
    pub(crate) fn of_day(what: &str, folder: &str, day: Date, offset: u64, bytes: &[u8]) -> Self {
        let mut short = folder.len().min(FOLDER_BYTES);
        while !folder.is_char_boundary(short) {
            short -= 1;
        }
        // With what it holds: another damage at this place is another fragment.
        let name = format!("{day}.{offset}.{:08x}.{}", crc32c::crc32c(bytes), &folder[..short]);
        let facts = [("folder", folder.to_owned()), ("day", day.to_string()), ("offset", offset.to_string())];
        Self::new(what, name, facts, bytes.len())
    }

    /// Describes bytes of any file.
    pub(crate) fn new<const N: usize>(what: &str, name: String, facts: [(&str, String); N], bytes: usize) -> Self {
        let mut facts = facts.map(|(name, value)| (name.to_owned(), value)).to_vec();
        facts.push(("bytes".to_owned(), bytes.to_string()));
        facts.push(("fragment".to_owned(), name.clone()));
        Self { name, what: what.to_owned(), facts }
    }

    /// Keeps the note and its bytes, durably: only then may they be replaced.
    ///
    /// The note comes first, as a fragment that nothing tells of would be evidence that nobody looks for. Two fragments
    /// of one name stand one after another; one that was kept before its bytes were replaced, and whoever did it was
    /// killed, is kept once.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn keep(&self, disk: &dyn Disk, bytes: &[u8]) -> io::Result<()> {
        let facts = self.facts.iter().map(|(name, value)| format!("{name} {value}\n")).collect::<String>();
        disk.replace(&[OWN_FOLDER, "untold", &self.name], format!("{}\n{facts}", self.what).as_bytes())?;
        let path = [OWN_FOLDER, "fragments", &self.name];
        let file = disk.append(&path)?;
        let before = file.stat()?.len;
        append_once(&*file, before, bytes).inspect_err(|_| {
            // As if it had not begun: whoever tries again notes it again. What stays is told, whatever it is.
            let _stays = match before {
                0 => self.discard(disk),
                _ => file.cut(before).and_then(|()| Self::told(disk, &self.name)),
            };
        })
    }

    /// Returns all of which the trail has not told, for all that is known on the disk.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn untold(disk: &dyn Disk) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for listed in disk.list(&[OWN_FOLDER, "untold"])? {
            // A name that begins with a dot is half a note.
            if listed.folder || listed.name.starts_with('.') {
                continue;
            }
            let file = match disk.open(&[OWN_FOLDER, "untold", &listed.name]) {
                // No file of ours: a FIFO, say.
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

    /// Returns where a fragment of a day file stood, and its bytes; `None` for any other fragment.
    ///
    /// # Errors
    /// What the system says.
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

    /// Forgets a fragment whose bytes turned out to be no damage.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn discard(&self, disk: &dyn Disk) -> io::Result<()> {
        disk.remove(&[OWN_FOLDER, "fragments", &self.name])?;
        // The note goes last: a power cut may bring a name back, and then the note must be there, too.
        disk.sync_folder(&[OWN_FOLDER, "fragments"])?;
        Self::told(disk, &self.name)
    }

    /// Removes fragments that are older than 90 days, and the oldest where they are over 1,000 or 256 MiB. Those of
    /// which the trail has not told yet stay.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn remove_old(disk: &dyn Disk, now_s: i64) -> io::Result<()> {
        let untold = disk.list(&[OWN_FOLDER, "untold"])?;
        let mut kept = Vec::new();
        for listed in disk.list(&[OWN_FOLDER, "fragments"])? {
            if let Some(stat) = disk.stat(&[OWN_FOLDER, "fragments", &listed.name])? {
                kept.push((stat.modified_s, stat.len, listed.name));
            }
        }
        // The newest first: they stay.
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

    /// Notes that the trail tells of it, durably.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn told(disk: &dyn Disk, name: &str) -> io::Result<()> {
        disk.remove(&[OWN_FOLDER, "untold", name])
    }
}

/// Appends bytes to a file of this length, durably, unless it ends with them.
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
