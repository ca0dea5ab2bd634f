//! Bytes that were cut off: kept as files of their own, each with a note until the trail tells of it.

use std::io;

use crate::clock::Date;
use crate::day::tail::Torn;
use crate::disk::{Disk, DiskFile};
use crate::home::OWN_FOLDER;

/// Bytes of a fragment's folder part that fit a file name together with the rest of it.
const FOLDER_BYTES: usize = 180;

/// Bytes of a note: a few names and values.
const NOTE_BYTES_MAX: usize = 4_096;

/// Bytes that were cut off and are kept, and what the trail is to tell of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// The name of its file in `fragments/`, and of its note in `untold/`.
    pub(crate) name: String,
    /// What happened, in a word or two.
    pub(crate) what: String,
    /// Where and how much.
    pub(crate) facts: Vec<(String, String)>,
}

impl Fragment {
    /// Describes the torn or damaged end of a day file.
    pub(crate) fn of_day(folder: &str, day: Date, torn: &Torn) -> Self {
        let mut short = folder.len().min(FOLDER_BYTES);
        while !folder.is_char_boundary(short) {
            short -= 1;
        }
        let name = format!("{day}.{}.{}", torn.offset, &folder[..short]);
        let facts = [("folder", folder.to_owned()), ("day", day.to_string()), ("offset", torn.offset.to_string())];
        Self::new("torn tail", name, facts, torn.bytes.len())
    }

    /// Describes bytes of any file.
    pub(crate) fn new<const N: usize>(what: &str, name: String, facts: [(&str, String); N], bytes: usize) -> Self {
        let mut facts = facts.map(|(name, value)| (name.to_owned(), value)).to_vec();
        facts.push(("bytes".to_owned(), bytes.to_string()));
        facts.push(("fragment".to_owned(), name.clone()));
        Self { name, what: what.to_owned(), facts }
    }

    /// Keeps the note and its bytes, durably: only then may they be cut off.
    ///
    /// The note comes first, as a fragment that nothing tells of would be evidence that nobody looks for. Two fragments
    /// of one name stand one after another; one that was kept before its bytes were cut off, and whoever did it was
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
            let undone = if before == 0 { disk.remove(&path) } else { file.cut(before) };
            let _stays = undone.and_then(|()| Self::told(disk, &self.name));
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
            let Some(file) = disk.open(&[OWN_FOLDER, "untold", &listed.name])? else { continue };
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
        match file.append(&bytes[written..])? {
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
            let torn = Torn { offset: 7, bytes: b"half a line".to_vec() };
            let fragment = Fragment::of_day(user, day, &torn);
            fragment.keep(&disk, &torn.bytes).unwrap();
            fragment.keep(&disk, &torn.bytes).unwrap();
            let kept = folder.path().join(OWN_FOLDER).join("fragments").join(&fragment.name);
            assert_eq!(std::fs::read(&kept).unwrap(), torn.bytes);
            fragment.keep(&disk, b"more").unwrap();
            assert_eq!(std::fs::read(&kept).unwrap(), b"half a linemore");
            assert_eq!(Fragment::untold(&disk).unwrap(), std::slice::from_ref(&fragment));
            Fragment::told(&disk, &fragment.name).unwrap();
            assert_eq!(Fragment::untold(&disk).unwrap(), []);
        }
    }
}
