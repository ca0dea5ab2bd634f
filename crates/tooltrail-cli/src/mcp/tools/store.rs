//! Keeps what was seen of a server's tools and what of it is approved: a file for each server, with the keys, outside of
//! the home.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tooltrail::hex;

use crate::mcp::tools::compare::{Definitions, ToolChanges};
use crate::mcp::tools::definitions::{Definition, ListedTools};
use crate::mcp::tools::pins::{PinSource, ToolState};
use crate::private_folder;

/// The longest file that is read. The names, the hashes and the texts that are kept fit into it, with their escapes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The most bytes of texts of definitions, of those seen and of those approved. Of the others only the hash is kept.
const TEXTS_BYTES_MAX: usize = 8 << 20;

/// The longest definition that is kept as text, to show what changed. Of a longer one only its hash is kept.
const TEXT_BYTES_MAX: usize = 256 << 10;

/// A definition that was seen or approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenTool {
    pub(crate) sha256: String,
    pub(crate) text: String,
}

/// What is approved of a tool, and what was seen last.
pub(crate) type Difference = (Option<SeenTool>, Option<SeenTool>);

/// What is known of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredTools {
    server: String,
    /// Whether a list was seen to its end.
    is_known: bool,
    seen: BTreeMap<String, SeenTool>,
    #[serde(default)]
    approved: BTreeMap<String, SeenTool>,
}

/// The file of one server.
#[derive(Clone, Debug)]
pub(crate) struct ToolStore {
    folder: PathBuf,
    server: String,
}

impl ToolStore {
    /// Returns the file of a server in a folder, which may not exist yet.
    pub(crate) fn new(folder: PathBuf, server: &str) -> Self {
        Self { folder, server: server.to_owned() }
    }

    /// Compares a page with what was seen, and stores it. `pages` has the pages before of the same list.
    ///
    /// # Errors
    /// Any I/O error of the operating system. Then nothing is known of the page.
    pub(crate) fn take_in(&self, listing: &mut Listing, page: ListedTools) -> io::Result<ToolChanges> {
        let _lock = self.lock()?;
        let mut stored = self.read()?;
        let before = stored.clone();
        let known = stored.seen.iter().map(|(name, tool)| (name.clone(), tool.definition())).collect();
        let mut definitions = listing.resume(Definitions::known(known, stored.is_known));
        let changes = definitions.take_in(page);
        stored.server.clone_from(&self.server);
        stored.is_known = definitions.is_known;
        stored.seen = definitions.tools.iter().map(|(name, tool)| (name.clone(), SeenTool::of(tool))).collect();
        listing.keep(definitions);
        bound_texts(&mut stored.seen);
        if stored != before {
            self.write(&stored)?;
        }
        Ok(changes)
    }

    /// Returns the tools whose definitions are not approved as they are now, each with what is approved and what was
    /// seen last. A tool that is gone has no definition.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn unapproved(&self) -> io::Result<BTreeMap<String, Difference>> {
        let StoredTools { seen, mut approved, .. } = self.read()?;
        let mut found = BTreeMap::new();
        for (name, tool) in seen {
            let before = approved.remove(&name);
            if before.as_ref().is_none_or(|before| before.sha256 != tool.sha256) {
                found.insert(name, (before, Some(tool)));
            }
        }
        found.extend(approved.into_iter().map(|(name, before)| (name, (Some(before), None))));
        Ok(found)
    }

    /// Returns what is seen and approved, by hashes.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn state(&self) -> io::Result<ToolState> {
        let StoredTools { seen, approved, .. } = self.read()?;
        let hashes =
            |tools: BTreeMap<String, SeenTool>| tools.into_iter().map(|(name, tool)| (name, tool.sha256)).collect();
        Ok(ToolState { seen: hashes(seen), approved: hashes(approved) })
    }

    /// Approves definitions exactly as they were shown.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn approve(&self, tools: &BTreeMap<String, Option<SeenTool>>) -> io::Result<()> {
        let _lock = self.lock()?;
        let mut stored = self.read()?;
        for (name, tool) in tools {
            match tool {
                Some(tool) => drop(stored.approved.insert(name.clone(), tool.clone())),
                None => drop(stored.approved.remove(name)),
            }
        }
        bound_texts(&mut stored.approved);
        self.write(&stored)
    }

    /// Whether something was seen of the server.
    pub(crate) fn exists(&self) -> bool {
        self.path().exists()
    }

    fn path(&self) -> PathBuf {
        // A server may have any name.
        self.folder.join(format!("{}.json", &hex(&Sha256::digest(self.server.as_bytes()))[..32]))
    }

    /// Returns what tells one version of the file from another.
    fn version(&self) -> Version {
        let found = self.path().metadata().ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec()))
    }

    fn read(&self) -> io::Result<StoredTools> {
        let mut text = String::new();
        match File::open(self.path()) {
            Ok(file) => file.take(FILE_BYTES_MAX).read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(StoredTools::default()),
            Err(error) => return Err(error),
        };
        // What cannot be read approves nothing, and is not overwritten.
        serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn write(&self, stored: &StoredTools) -> io::Result<()> {
        let (path, new) = (self.path(), self.path().with_extension("new"));
        let _ = std::fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        self.give_to_owner(&file)?;
        file.write_all(serde_json::to_string(stored)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(new, path)
    }

    /// Gives a file to the owner of the keys if root has made it, so that the service of that owner can read it.
    fn give_to_owner(&self, file: &File) -> io::Result<()> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let above = self.folder.parent().map(std::fs::metadata).transpose()?;
        let Some(above) = above else { return Ok(()) };
        std::os::unix::fs::fchown(file, Some(above.uid()), Some(above.gid()))
    }

    fn lock(&self) -> io::Result<File> {
        private_folder::create(&self.folder)?;
        self.give_to_owner(&File::open(&self.folder)?)?;
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(self.folder.join("lock"))?;
        self.give_to_owner(&file)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }
}

/// Leaves out the texts that are too many to be kept.
fn bound_texts(tools: &mut BTreeMap<String, SeenTool>) {
    let mut room = TEXTS_BYTES_MAX;
    for tool in tools.values_mut() {
        match room.checked_sub(tool.text.len()) {
            Some(rest) => room = rest,
            None => tool.text = String::new(),
        }
    }
}

impl SeenTool {
    /// Whether the text of the definition was too long to be kept.
    pub(crate) fn has_no_text(&self) -> bool {
        self.text.is_empty()
    }

    fn of(definition: &Definition) -> Self {
        let text = if definition.text.len() > TEXT_BYTES_MAX { String::new() } else { definition.text.clone() };
        Self { sha256: definition.sha256.clone(), text }
    }

    fn definition(&self) -> Definition {
        Definition { sha256: self.sha256.clone(), text: self.text.clone() }
    }
}

/// A list of tools whose pages come one after the other in one connection.
#[derive(Debug, Default)]
pub(crate) struct Listing(Option<Definitions>);

impl Listing {
    /// Returns a list of which pages with these names have come.
    pub(crate) fn after(listed: impl IntoIterator<Item = String>) -> Self {
        Self(Some(Definitions::default().after(listed)))
    }

    /// Returns the known definitions together with the pages so far.
    fn resume(&mut self, known: Definitions) -> Definitions {
        match self.0.take() {
            Some(before) => before.over(known),
            None => known,
        }
    }

    fn keep(&mut self, definitions: Definitions) {
        self.0 = Some(definitions);
    }
}

/// The approvals in the file of a server, which is read again when it has changed.
#[derive(Debug)]
pub(crate) struct FilePins {
    store: ToolStore,
    read: Mutex<(Version, Arc<ToolState>)>,
}

/// What tells one version of a file from another.
type Version = Option<(u64, i64, i64)>;

impl FilePins {
    pub(crate) fn new(store: ToolStore) -> Self {
        Self { store, read: Mutex::default() }
    }
}

impl PinSource for FilePins {
    fn state(&self) -> Arc<ToolState> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.store.version();
        // Somebody may have approved something a moment ago.
        if version.is_none() || read.0 != version {
            *read = (version, Arc::new(self.store.state().unwrap_or_default()));
        }
        Arc::clone(&read.1)
    }

    fn is_service(&self) -> bool {
        false
    }

    fn take_in(&self, _page: &ListedTools, _listed: &[String]) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::tools::pins::PinnedTools;

    fn page(line: &str) -> ListedTools {
        ListedTools::in_line(line.as_bytes()).unwrap()
    }

    #[test]
    fn only_what_was_approved_as_it_is_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let store = ToolStore::new(folder.path().join("tools"), "hub");
        // Each look is that of a connection that has listed nothing yet.
        let pins = || PinnedTools::new("hub", Box::new(FilePins::new(store.clone())));
        let list =
            |b: &str| page(&format!(r#"{{"result":{{"tools":[{{"name":"a"}},{{"name":"b","description":"{b}"}}]}}}}"#));
        let take = |page: ListedTools| store.take_in(&mut Listing::default(), page).unwrap();
        let approve = |names: &[&str]| {
            let all = store.unapproved().unwrap();
            let chosen = all.into_iter().filter(|(name, _)| names.contains(&&**name));
            store.approve(&chosen.map(|(name, (_, seen))| (name, seen)).collect()).unwrap();
        };
        assert!(!pins().allows("a") && !store.exists());
        assert!(take(list("x")).is_empty());
        assert!(!pins().allows("a"));
        approve(&["a", "b"]);
        assert!(pins().allows("a") && pins().allows("b") && !pins().allows("c"));
        let older = pins();
        assert!(!older.take_in(&list("x")));
        assert_eq!(take(list("y")).changed, ["b"]);
        assert!(pins().allows("a") && !pins().allows("b"));
        assert!(older.allows("b"), "the server of that connection is another one");
        let newer = pins();
        newer.take_in(&list("z"));
        assert!(newer.allows("a") && !newer.allows("b"));
        assert!(take(list("y")).is_empty(), "told once");
        assert_eq!(store.unapproved().unwrap().into_keys().collect::<Vec<_>>(), ["b"]);
        // Back to what was approved.
        assert_eq!(take(list("x")).changed, ["b"]);
        assert!(pins().allows("b"));
        assert_eq!(take(page(r#"{"result":{"tools":[{"name":"a"}]}}"#)).removed, ["b"]);
        assert!(!pins().allows("b"));
        // However much a server lists, the file can be read again, and what changes is told.
        let texts = format!("\"{}\"", "x".repeat(TEXT_BYTES_MAX - 100));
        let many = |n: usize, last: &str| {
            let tools = (0..n).map(|n| format!(r#"{{"name":"{n:0>9}","x":{texts}}}"#)).collect::<Vec<_>>().join(",");
            page(&format!(r#"{{"result":{{"tools":[{tools},{{"name":"{}","x":"{last}"}}]}}}}"#, "y".repeat(256)))
        };
        assert_eq!(take(many(60, "1")).added.len(), 61);
        assert_eq!(take(many(60, "2")).changed.len(), 1);
        assert!(store.path().metadata().unwrap().len() < FILE_BYTES_MAX / 4);
        std::fs::write(store.path(), "damaged").unwrap();
        assert!(!pins().allows("a") && store.take_in(&mut Listing::default(), list("x")).is_err());
        assert_eq!(std::fs::read(store.path()).unwrap(), b"damaged");
    }
}
