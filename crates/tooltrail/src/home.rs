//! The home, the folder of each user, and the names of files in them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::Date;
use crate::disk::{Disk, Lock, RealDisk, network_file_system};
use crate::error::Error;
use crate::grown_files::GrownFiles;
use crate::hex::hex;

/// The folder inside a user's folder that contains the day files.
pub(crate) const TRAIL_FOLDER: &str = "tool_audit";

/// The name of our own folder inside the home.
pub(crate) const OWN_FOLDER: &str = ".tooltrail";

/// How long we wait for the append lock. Another process holds it for one batch of appends. It holds it during a sync
/// only for the name of a new file, for a note about late lines, and to keep a torn tail.
pub(crate) const APPENDS_WAIT: Duration = Duration::from_secs(2);

/// The user of entries that belong to no other user.
pub const SYSTEM_USER: &str = "_system";

/// The stored name of a user from outside who is named like [`SYSTEM_USER`].
pub(crate) const OUTSIDE_SYSTEM_USER: &str = "outside._system";

/// The user of a call whose user is not known.
pub const UNKNOWN_USER: &str = "unknown";

/// The format that this version writes, and the newest one that it reads.
const FORMAT: &str = "1";

/// The most bytes of an encoded folder name. A longer name is cut, and a hash is added.
const FOLDER_BYTES_MAX: usize = 200;

/// The bytes of a long encoded name that stay readable before the hash.
const FOLDER_BYTES_KEPT: usize = 100;

/// The root folder of all trails.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    /// What the recorders of this value and its clones append to.
    grown: Arc<GrownFiles>,
}

impl Home {
    /// Opens a home for reading and changes nothing in it. A folder without `.tooltrail`, as for seed data, is accepted
    /// too.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no such folder, [`Error::Io`] if it is not a folder or cannot be read,
    /// [`Error::Format`] if a newer version wrote it.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, Error> {
        let root = root.as_ref();
        match std::fs::metadata(root) {
            Ok(found) if !found.is_dir() => {
                return Err(Error::io("open", root)(io::ErrorKind::NotADirectory.into()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing { path: root.to_owned() });
            }
            // We may have no permission for a parent folder; then the home is not reported as missing.
            Err(error) => return Err(Error::io("open", root)(error)),
            Ok(_) => {}
        }
        let disk = RealDisk::open(root, false).map_err(Error::io("open", root))?;
        let home = Self { root: root.to_owned(), disk: Arc::new(disk), grown: Arc::default() };
        home.check_format()?;
        Ok(home)
    }

    /// Opens a home for writing. Creates a missing home, and sets up an existing folder that has none of our files yet.
    ///
    /// With `group`, the folder's group may read (modes 0640 and 0750 instead of 0600 and 0700).
    ///
    /// # Errors
    /// [`Error::Input`] if it is on a network file system, or belongs to another user and this process does not run as
    /// root; otherwise as [`Home::open`], and any I/O error of the operating system.
    pub fn create(root: impl AsRef<Path>, group: bool) -> Result<Self, Error> {
        let root = root.as_ref();
        if let Some(name) = network_file_system(root).map_err(Error::io("look at", root))? {
            return Err(Error::Network { path: root.to_owned(), name: name.to_string() });
        }
        Self::create_even_on_network(root, group)
    }

    /// Like [`Home::create`], but also on a network file system. There, entries of several machines can break each
    /// other, and an acknowledged entry can be lost.
    ///
    /// # Errors
    /// As [`Home::open`], and any I/O error of the operating system.
    pub fn create_even_on_network(root: impl AsRef<Path>, group: bool) -> Result<Self, Error> {
        let root = root.as_ref();
        make_root(root, group).map_err(Error::io("create", root))?;
        let disk = RealDisk::open(root, group).map_err(Error::io("open", root))?;
        check_owner(root)?;
        Self::adopt(Self { root: root.to_owned(), disk: Arc::new(disk), grown: Arc::default() })
    }

    /// Opens a home on any disk for writing, for tests that simulate disk failures.
    ///
    /// # Errors
    /// As [`Home::create`].
    #[doc(hidden)]
    pub fn on(disk: Arc<dyn Disk>) -> Result<Self, Error> {
        Self::adopt(Self { root: PathBuf::from("home"), disk, grown: Arc::default() })
    }

    fn adopt(home: Self) -> Result<Self, Error> {
        let own = |name| home.root.join(OWN_FOLDER).join(name);
        if !home.check_format()? {
            let format = format!("{FORMAT}\n");
            home.disk
                .replace(&[OWN_FOLDER, "format"], format.as_bytes())
                .map_err(Error::io("write", &own("format")))?;
        }
        home.id()?;
        Ok(home)
    }

    /// Returns the folder's path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the day files to which this process appends.
    pub(crate) fn grown(&self) -> &Arc<GrownFiles> {
        &self.grown
    }

    /// Returns the disk that holds its files.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Returns the home's id (32 lower-case hex digits), which is the name of its folder of keys. Creates it if it is
    /// missing.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn id(&self) -> Result<String, Error> {
        let path = self.root.join(OWN_FOLDER).join("id");
        if let Some(id) = self.own_file("id")?.filter(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return Ok(id);
        }
        // Two processes may open a new home at the same time; the lock makes sure that only the first one creates an
        // id.
        let wait = std::time::Duration::from_secs(2);
        let _lock = self.disk.lock(&[OWN_FOLDER, "id.lock"], wait).map_err(Error::io("lock", &path))?;
        if let Some(id) = self.own_file("id")? {
            return Ok(id);
        }
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|error| Error::io("make an id for", &path)(std::io::Error::other(error)))?;
        let id = hex(&bits);
        self.disk.replace(&[OWN_FOLDER, "id"], format!("{id}\n").as_bytes()).map_err(Error::io("write", &path))?;
        Ok(id)
    }

    /// Takes the lock for appending to day files, and waits for it at most `wait`.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if another process holds it for the whole time.
    pub(crate) fn lock_appends(&self, wait: Duration) -> io::Result<Box<dyn Lock>> {
        self.disk.lock(&[OWN_FOLDER, "append.lock"], wait)
    }

    /// Checks that the home's path still refers to the folder that was opened.
    ///
    /// # Errors
    /// [`Error::Unhealthy`]: the folder was renamed or removed, or something else is mounted there.
    pub(crate) fn check_stands(&self) -> Result<(), Error> {
        let why = match self.disk.stands() {
            Ok(true) => return Ok(()),
            Ok(false) => format!(
                "{} is not the folder any more that was opened: it was moved, or something is mounted over it; put it back or start again",
                self.root.display()
            ),
            Err(error) => format!("could not look at {}: {error}", self.root.display()),
        };
        Err(Error::Unhealthy { why })
    }

    /// Creates the folder of the home's keys and its missing parents with mode 0700. If this runs as root, the new
    /// folders get the home's owner, who could not use them otherwise.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub fn make_keys_folder(&self, folder: &Path) -> Result<(), Error> {
        use std::os::unix::fs::MetadataExt as _;
        let missing = folder.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect::<Vec<_>>();
        make_root(folder, false).map_err(Error::io("create", folder))?;
        if rustix::process::geteuid().is_root() {
            let owner = std::fs::metadata(&self.root).map_err(Error::io("look at", &self.root))?;
            for made in missing.iter().filter(|made| !made.as_os_str().is_empty()) {
                std::os::unix::fs::chown(made, Some(owner.uid()), Some(owner.gid()))
                    .map_err(Error::io("give away", made))?;
            }
        }
        Ok(())
    }

    /// Returns the path of a day file, for messages.
    #[must_use]
    pub(crate) fn day_path(&self, folder: &str, date: Date) -> PathBuf {
        self.root.join(folder).join(TRAIL_FOLDER).join(day_name(date))
    }

    /// Returns whether the format file exists, and checks its content.
    fn check_format(&self) -> Result<bool, Error> {
        match self.own_file("format")?.as_deref() {
            None => Ok(false),
            Some(FORMAT) => Ok(true),
            Some(other) => Err(Error::Format {
                path: self.root.join(OWN_FOLDER).join("format"),
                offset: 0,
                what: format!("format {other:?} is not ours; a newer tooltrail wrote this home: upgrade this one"),
            }),
        }
    }

    /// Reads one of our small files, without the white space around its content.
    fn own_file(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.root.join(OWN_FOLDER).join(name);
        let read = || {
            let Some(file) = self.disk.open(&[OWN_FOLDER, name])? else { return Ok(None) };
            let mut bytes = vec![0; 256];
            let read = file.read_at(&mut bytes, 0)?;
            Ok(Some(String::from_utf8_lossy(&bytes[..read]).trim().to_owned()))
        };
        read().map_err(Error::io("read", &path))
    }
}

/// Refuses to write as a user who does not own the home, because the owner could not write to the new files.
///
/// Root is allowed: it gives new files to the owner.
fn check_owner(root: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = std::fs::metadata(root).map_err(Error::io("look at", root))?.uid();
    let user = rustix::process::geteuid();
    if user.is_root() || user.as_raw() == owner {
        return Ok(());
    }
    Err(Error::input(
        format!("{} belongs to the user of id {owner}, and this runs as {}", root.display(), user.as_raw()),
        "run it as the owner of the home (sudo -u OWNER tooltrail …) or as root; to read, being able to is enough",
    ))
}

/// Creates the root folder if it is missing. Only we may access it, or also its group for reading with `group`.
pub(crate) fn make_root(root: &Path, group: bool) -> std::io::Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    let mode = if group { 0o750 } else { 0o700 };
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
    builder.create(root)?;
    // The umask may have removed bits from the mode.
    std::fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

/// Whether a trail of this name belongs to one user only, so that a token or an agent may read it as its own.
///
/// Calls without a user share the trail `unknown`, and `_system` is ours. A name that looks like a redacted one (`[…`)
/// or like a cut or keyed folder (`….` and a hash) could mean the folder of another user.
///
/// ```
/// assert!(tooltrail::has_own_trail("alice"));
/// assert!(!tooltrail::has_own_trail("alice [redacted:token]"));
/// ```
#[must_use]
pub fn has_own_trail(user: &str) -> bool {
    let is_shared = matches!(user, "" | UNKNOWN_USER | SYSTEM_USER | OUTSIDE_SYSTEM_USER);
    let ends_in_hash = user
        .rsplit_once('.')
        .is_some_and(|(_, hash)| matches!(hash.len(), 16 | 64) && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    !is_shared && !user.contains('[') && !ends_in_hash
}

/// Returns the names of the folders of users in a home.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn user_folders(disk: &dyn Disk) -> std::io::Result<Vec<String>> {
    let folders = disk.list(&[])?.into_iter().filter(|entry| entry.folder && entry.name != OWN_FOLDER);
    Ok(folders.map(|entry| entry.name).collect())
}

/// Returns the file name of a day file.
#[must_use]
pub(crate) fn day_name(date: Date) -> String {
    format!("{date}.jsonl")
}

/// Returns the date in the name of a day file, `None` for any other name.
#[must_use]
pub(crate) fn day_of(name: &str) -> Option<Date> {
    Date::parse(name.strip_suffix(".jsonl")?)
}

/// Returns the folder name of a user: an encoding of the id that is safe on any file system and different for each id.
///
/// `[a-z0-9_-]` stay as they are, every other byte becomes `%XX`. If the result is longer than 200 bytes, it is cut to
/// at most 100 bytes without splitting an escape, and the SHA-256 of the id is added. `_system` is reserved for us; for
/// a user from outside with that name, see [`outside_folder`].
#[must_use]
pub fn folder_of(user: &str) -> String {
    let mut encoded = String::with_capacity(user.len());
    for byte in user.bytes() {
        push_byte(&mut encoded, byte);
    }
    if encoded.len() <= FOLDER_BYTES_MAX {
        return encoded;
    }
    let mut kept = FOLDER_BYTES_KEPT;
    // An escape that the cut would split starts at most two bytes before it.
    for back in 1..=2 {
        if encoded.as_bytes()[FOLDER_BYTES_KEPT - back] == b'%' {
            kept = FOLDER_BYTES_KEPT - back;
        }
    }
    let hash = Sha256::digest(user.as_bytes());
    format!("{}.{}", &encoded[..kept], hex(&hash))
}

/// Returns the folder name of a user from outside: as [`folder_of`], but `_system` is stored as `outside._system`.
#[must_use]
pub fn outside_folder(user: &str) -> String {
    folder_of(if user == SYSTEM_USER { OUTSIDE_SYSTEM_USER } else { user })
}

/// Returns the folder name of a user whose id contained a secret: the encoding of the redacted text and a keyed hash of
/// the id.
#[must_use]
pub(crate) fn redacted_folder(redacted: &str, keyed: &str) -> String {
    format!("{}.{keyed}", folder_of(redacted))
}

/// Returns the user of a folder, `None` if the name is not the canonical encoding of an id.
///
/// A cut or redacted name does not contain the id; the id is then read from the entries in the folder.
#[must_use]
pub fn user_of(folder: &str) -> Option<String> {
    if folder == "%5Fsystem" {
        return Some(SYSTEM_USER.to_owned());
    }
    let mut bytes = Vec::with_capacity(folder.len());
    let mut rest = folder.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let user = String::from_utf8(bytes).ok()?;
    (!user.is_empty() && folder_of(&user) == folder).then_some(user)
}

/// Appends one byte of an id to its folder name.
fn push_byte(encoded: &mut String, byte: u8) {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => encoded.push(char::from(byte)),
        _ => {
            encoded.push('%');
            encoded.push_str(&format!("{byte:02X}"));
        }
    }
}
