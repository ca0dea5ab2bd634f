//! Finds out which of the entries that were in flight when an import was cut short are in the day files.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::io;

use serde::Deserialize;
use serde_json::value::RawValue;
use tooltrail::disk::{Disk, DiskFile};
use tooltrail::{Date, EntryId, Reason, Timestamp, Zone};

/// Bytes of one read.
const READ_BYTES: usize = 256 * 1024;

/// Longest line that is checked, in bytes. Longer lines are ignored, because an entry has at most 64 KiB.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Counts how often each id occurs in the day files of these dates.
///
/// Reads the files of all users, because redaction may have changed the name of a user's folder.
pub(crate) fn count(
    disk: &dyn Disk,
    dates: &BTreeSet<Date>,
    mut ids: HashMap<EntryId, u64>,
) -> io::Result<HashMap<EntryId, u64>> {
    each_stored(disk, dates, |stored| {
        if let Some(times) = stored.entry_id().and_then(|id| ids.get_mut(&id)) {
            *times += 1;
        }
    })?;
    Ok(ids)
}

/// Some fields of a stored line.
#[derive(Debug, Deserialize)]
pub(crate) struct Stored<'a> {
    #[serde(borrow, default)]
    id: Option<&'a str>,
    #[serde(borrow, default)]
    pub(crate) call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) via: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) session: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) tool: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    ts: Option<Cow<'a, str>>,
    /// The arguments as JSON text.
    #[serde(borrow, default)]
    pub(crate) args: Option<&'a RawValue>,
}

impl Stored<'_> {
    pub(crate) fn entry_id(&self) -> Option<EntryId> {
        EntryId::parse(self.id?)
    }

    /// Whether it is a call of which nobody knows how it ended.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.reason.as_deref() == Some(Reason::Interrupted.as_str())
    }

    pub(crate) fn time(&self) -> Option<Timestamp> {
        Timestamp::parse(self.ts.as_deref()?, &Zone::UTC).ok()
    }
}

/// Calls `with` for each whole line in the day files of these dates, of all users.
pub(crate) fn each_stored(
    disk: &dyn Disk,
    dates: &BTreeSet<Date>,
    mut with: impl FnMut(&Stored<'_>),
) -> io::Result<()> {
    for folder in disk.list(&[])?.iter().filter(|listed| listed.folder && !listed.name.starts_with('.')) {
        for date in dates {
            if let Some(file) = disk.open(&[&folder.name, "tool_audit", &format!("{date}.jsonl")])? {
                each_line(file.as_ref(), |line| {
                    if let Ok(stored) = serde_json::from_slice::<Stored<'_>>(line) {
                        with(&stored);
                    }
                })?;
            }
        }
    }
    Ok(())
}

/// Calls `with` for each complete line of a file. Skips an incomplete last line, because the recorder removes it.
fn each_line(file: &dyn DiskFile, mut with: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut rest = Vec::new();
    let mut offset = 0;
    loop {
        let read = file.read_at(&mut buffer, offset)?;
        if read == 0 {
            return Ok(());
        }
        offset += read as u64;
        for part in buffer[..read].split_inclusive(|byte| *byte == b'\n') {
            if rest.len() + part.len() <= LINE_BYTES_MAX {
                rest.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                with(&rest);
                rest.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::count;
    use std::collections::{BTreeSet, HashMap};
    use tooltrail::{EntryId, Home, Timestamp};

    #[test]
    fn only_whole_lines_and_their_own_ids_count() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(folder.path(), false).unwrap();
        let ts = Timestamp::from_millis(86_400_000);
        let ids = [1, 2, 3, 4].map(|n| EntryId::new(ts, [n; 10]));
        let trail = folder.path().join("alice/tool_audit");
        std::fs::create_dir_all(&trail).unwrap();
        let [a, b, c, d] = ids;
        let pad = "x".repeat(60_000);
        let text = format!(
            "{{\"id\":\"{a}\",\"pad\":\"{pad}\"}}\n{{\"args\":{{\"id\":\"{b}\"}}}}\n{{\"id\":\"{c}\"}}\n\
             {{\"pad\":\"{pad}\",\"id\":\"{c}\"}}\n{{\"pad\":\"{pad}{pad}\"}}\n{{\"id\":\"{d}\"}}"
        );
        std::fs::write(trail.join(format!("{}.jsonl", ts.date())), text).unwrap();
        let wanted = ids.iter().map(|id| (*id, 0)).collect::<HashMap<_, _>>();
        let found = count(home.disk().as_ref(), &BTreeSet::from([ts.date()]), wanted).unwrap();
        assert_eq!(ids.map(|id| found[&id]), [1, 0, 2, 0]);
    }
}
