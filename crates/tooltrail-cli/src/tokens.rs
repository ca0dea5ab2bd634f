//! The tokens of a home, which say what a client of the service may do. Only the hashes of tokens are stored.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tooltrail::disk::{Disk as _, RealDisk};
use tooltrail::{Redactor, SYSTEM_USER, has_own_trail, hex};

use crate::failure::Failure;

/// The prefix of every token, so that people, secret scanners and the redactor can recognize a token.
const PREFIX: &str = "tooltrail_";

/// Random bytes of a token. 256 bits cannot be guessed, so a fast hash is enough for the stored form.
const SECRET_BYTES: usize = 32;

/// Bytes of the checksum at the end of a token. It detects a mistyped token without reading the store.
const CHECKSUM_BYTES: usize = 4;

/// The token file in the folder of keys, and the lock file that a process holds while it changes the token file.
const FILE: &str = "tokens.json";
const LOCK_FILE: &str = "tokens.lock";

/// The format version of the token file that this program writes, and the only one it reads.
const FORMAT: u32 = 1;

/// Longest wait for the lock. Another process that changes the tokens holds it for two syncs.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Most tokens of a home, because the token of each request is compared with all of them.
const TOKENS_MAX: usize = 1_000;

/// Largest token file: [`TOKENS_MAX`] tokens with the longest names and users fit.
const FILE_BYTES_MAX: usize = 2 << 20;

/// Longest name of a token, because it is shown in log lines and tables.
const NAME_BYTES_MAX: usize = 64;

/// Longest user id of a token: as many characters as an entry keeps of a user id.
const USER_CHARS_MAX: usize = 200;

/// The role of a token: what it permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Everything
    Admin,
    /// Sending entries, nothing else
    Ingest,
    /// Reading the entries of one user, nothing else
    User,
}

impl Role {
    /// Returns the name of the role.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Ingest => "ingest",
            Self::User => "user",
        }
    }
}

/// What the sender with a token of role ingest is, where it may say more than other senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Hooks and MCP proxies of one user, which deliver what they have recorded
    Spool,
    /// Another home, which is sent on as a whole
    Relay,
}

/// The stored record of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    /// Its name in lists, and in the entries that record its reads.
    pub(crate) name: String,
    /// What it permits.
    pub(crate) role: Role,
    /// What the sender is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
    /// The user that the token belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// When it was created.
    pub(crate) created: String,
    /// SHA-256 of the token, in hex.
    sha256: String,
}

/// All tokens of a home at one point in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens(Vec<Token>);

impl Tokens {
    /// Returns the record of a presented token. The time does not depend on which token matches.
    pub(crate) fn find(&self, presented: &str) -> Option<&Token> {
        if !is_token(presented) {
            return None;
        }
        let hash = hex(&Sha256::digest(presented.as_bytes()));
        let same = |token: &&Token| bool::from(token.sha256.as_bytes().ct_eq(hash.as_bytes()));
        // Compares with all tokens, even after a match, so that the time does not show which token matched.
        self.0.iter().filter(same).fold(None, |_, token| Some(token))
    }

    /// Whether exactly this token is still valid.
    pub(crate) fn holds(&self, token: &Token) -> bool {
        self.0.contains(token)
    }

    /// Returns the tokens in the order in which they were created.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Token> {
        self.0.iter()
    }

    /// Whether there are no tokens.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The file store of the tokens of a home.
#[derive(Clone, Debug)]
pub(crate) struct TokenStore {
    folder: PathBuf,
}

impl TokenStore {
    /// Returns the store in a folder of keys, which may not exist yet.
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Returns the folder of keys.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Creates a token and returns its text, which cannot be shown again later, because only its hash is stored.
    pub(crate) fn add(&self, name: &str, role: Role, user: Option<&str>) -> Result<String, Failure> {
        self.add_of_kind(name, role, None, user)
    }

    /// Like [`TokenStore::add`], for a sender of a kind.
    pub(crate) fn add_of_kind(
        &self,
        name: &str,
        role: Role,
        kind: Option<Kind>,
        user: Option<&str>,
    ) -> Result<String, Failure> {
        check_name(name)?;
        check_user(role, user)?;
        check_kind(role, kind, user)?;
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(|error| {
            Failure::could_not(format!("no random bits: {error}"), "the system's source has more to say")
        })?;
        let text = spelled(&secret);
        self.change(|tokens| {
            if tokens.iter().any(|token| token.name == name) {
                return Err(Failure::no(
                    format!("there is a token {name:?} already"),
                    format!("choose another name, or run `tooltrail token revoke {name}` first"),
                ));
            }
            if tokens.len() >= TOKENS_MAX {
                return Err(Failure::no(format!("there are {TOKENS_MAX} tokens already"), "revoke some of them"));
            }
            tokens.push(Token {
                name: name.to_owned(),
                role,
                kind,
                user: user.map(str::to_owned),
                created: crate::clock::now().to_string(),
                sha256: hex(&Sha256::digest(text.as_bytes())),
            });
            Ok(())
        })?;
        Ok(text)
    }

    /// Removes a token. A running service stops accepting it within a second.
    pub(crate) fn revoke(&self, name: &str) -> Result<(), Failure> {
        self.change(|tokens| {
            let before = tokens.len();
            tokens.retain(|token| token.name != name);
            if tokens.len() == before {
                return Err(Failure::no(format!("there is no token {name:?}"), "`tooltrail token list` names them"));
            }
            Ok(())
        })
    }

    /// Refuses a folder of keys or a token file that another user owns or may write to, because that user could add own
    /// tokens.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        check_ours(&self.folder, "the folder of keys")?;
        check_ours(&self.folder.join(FILE), "the file of tokens")
    }

    /// Reads all tokens. If the folder or the file does not exist, there are none.
    pub(crate) fn load(&self) -> Result<Tokens, Failure> {
        match RealDisk::open(&self.folder, false) {
            Ok(disk) => self.read(&disk),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Tokens::default()),
            Err(error) => Err(Failure::io("open", self.folder.display(), &error)),
        }
    }

    /// Changes the list while holding the lock file, so that two processes can add tokens at the same time.
    fn change(&self, change: impl FnOnce(&mut Vec<Token>) -> Result<(), Failure>) -> Result<(), Failure> {
        make_folder(&self.folder)?;
        let file = self.folder.join(FILE);
        let failed = |error: io::Error| Failure::io("write", file.display(), &error);
        let disk = RealDisk::open(&self.folder, false).map_err(failed)?;
        let _lock = disk.lock(&[LOCK_FILE], LOCK_WAIT).map_err(failed)?;
        let mut tokens = self.read(&disk)?.0;
        change(&mut tokens)?;
        let text = serde_json::to_string_pretty(&TokensFile { version: FORMAT, tokens })
            .map_err(|error| failed(io::Error::other(error)))?;
        disk.replace(&[FILE], format!("{text}\n").as_bytes()).map_err(failed)
    }

    /// Reads the token file.
    fn read(&self, disk: &RealDisk) -> Result<Tokens, Failure> {
        let path = self.folder.join(FILE);
        let failed = |error: io::Error| Failure::io("read", path.display(), &error);
        let Some(file) = disk.open(&[FILE]).map_err(failed)? else { return Ok(Tokens::default()) };
        let len = usize::try_from(file.stat().map_err(failed)?.len).unwrap_or(usize::MAX);
        if len > FILE_BYTES_MAX {
            return Err(Failure::could_not(format!("{} is too long", path.display()), "put the right file back"));
        }
        let mut bytes = vec![0; len];
        let mut read = 0;
        while read < len {
            match file.read_at(&mut bytes[read..], read as u64).map_err(failed)? {
                0 => break,
                more => read += more,
            }
        }
        let stored = serde_json::from_slice::<TokensFile>(&bytes[..read]);
        match stored {
            Ok(stored) if stored.version == FORMAT => Ok(Tokens(stored.tokens)),
            Ok(stored) => Err(Failure::could_not(
                format!("{} has version {}", path.display(), stored.version),
                "a newer tooltrail wrote it: upgrade this one",
            )),
            Err(error) => Err(Failure::could_not(
                format!("{}: {error}", path.display()),
                "put the right file back, or remove it and make new tokens",
            )),
        }
    }
}

/// The contents of the token file.
#[derive(Debug, Serialize, Deserialize)]
struct TokensFile {
    version: u32,
    tokens: Vec<Token>,
}

/// Creates the folder of keys with access for this user only. Refuses an existing folder that others may write to.
fn make_folder(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    let failed = |error: io::Error| Failure::io("create", folder.display(), &error);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let mode = std::fs::metadata(folder).map_err(failed)?.permissions().mode();
    if mode & 0o022 != 0 {
        return Err(Failure::could_not(
            format!("others may write to the folder of keys, {}", folder.display()),
            "take that from them with `chmod go-w`, or name another folder with --keys",
        ));
    }
    Ok(())
}

/// Refuses a file or folder that another user owns or that others may write to; accepts a missing one.
pub(crate) fn check_ours(path: &Path, what: &str) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::io("look at", path.display(), &error)),
    };
    let user = rustix::process::geteuid().as_raw();
    if found.uid() != user {
        return Err(Failure::could_not(
            format!("{what}, {}, belongs to the user of id {}, and this runs as {user}", path.display(), found.uid()),
            "run it as its owner, or give it to this user with `chown`",
        ));
    }
    if found.mode() & 0o022 != 0 {
        return Err(Failure::could_not(
            format!("others may write to {what}, {}", path.display()),
            "take that from them with `chmod go-w`",
        ));
    }
    Ok(())
}

/// Refuses a name that is not suitable for log lines and tables.
fn check_name(name: &str) -> Result<(), Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) || name.starts_with('-') {
        return Err(Failure::could_not(
            format!("{name:?} is no name of a token"),
            format!("use 1 to {NAME_BYTES_MAX} of the letters, digits and . _ @ -"),
        ));
    }
    Ok(())
}

/// Refuses an invalid user id, and the role `user` without a user. The toolbox applies the same rule to the user whose
/// trail an agent may read.
fn check_user(role: Role, user: Option<&str>) -> Result<(), Failure> {
    let Some(user) = user else {
        return match role {
            Role::User => Err(Failure::could_not("a token of role user belongs to a user", "name one with --user")),
            _ => Ok(()),
        };
    };
    if user.is_empty() || user.chars().count() > USER_CHARS_MAX {
        return Err(Failure::could_not("this is no user id", format!("use 1 to {USER_CHARS_MAX} characters")));
    }
    if user == SYSTEM_USER {
        return Err(Failure::could_not(
            format!("{SYSTEM_USER} is nobody's: its trail has our own events, of all users"),
            "read it with a token of role admin",
        ));
    }
    let is_stored_as_it_is = Redactor::new(None).text(user) == user;
    if !has_own_trail(user) || !is_stored_as_it_is {
        return Err(Failure::could_not(
            "no trail is this user's alone: the id is shared, holds a secret, or is written like a shortened or redacted one",
            "give the user another id, or read with a token of role admin",
        ));
    }
    Ok(())
}

/// Refuses a kind for a role that does not send, and a relay of one user: its lines are of many.
fn check_kind(role: Role, kind: Option<Kind>, user: Option<&str>) -> Result<(), Failure> {
    match (role, kind) {
        (Role::Admin | Role::User, Some(_)) => {
            Err(Failure::could_not("only a token of role ingest has a kind", "give --role ingest"))
        }
        (_, Some(Kind::Relay)) if user.is_some() => Err(Failure::could_not(
            "a relay sends the entries of all users of a home",
            "leave --user out, or give --kind spool",
        )),
        _ => Ok(()),
    }
}

/// Returns the text of a token: prefix, secret, checksum.
fn spelled(secret: &[u8; SECRET_BYTES]) -> String {
    let body = format!("{PREFIX}{}", hex(secret));
    let checksum = hex(&Sha256::digest(body.as_bytes())[..CHECKSUM_BYTES]);
    body + &checksum
}

/// Whether a text has the form of a token, including a correct checksum.
pub(crate) fn is_token(text: &str) -> bool {
    let body_len = PREFIX.len() + 2 * SECRET_BYTES;
    if text.len() != body_len + 2 * CHECKSUM_BYTES || !text.is_ascii() || !text.starts_with(PREFIX) {
        return false;
    }
    let (body, checksum) = text.split_at(body_len);
    hex(&Sha256::digest(body.as_bytes())[..CHECKSUM_BYTES]) == checksum
}

#[cfg(test)]
mod tests {
    use super::{Role, TokenStore, Tokens, is_token, spelled};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_token_is_found_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let store = TokenStore::new(folder.path().join("state/keys"));
        assert_eq!(store.load().unwrap(), Tokens::default());
        let admin = store.add("root", Role::Admin, None).unwrap();
        let alice = store.add("alice.laptop", Role::User, Some("alice")).unwrap();
        let tokens = store.load().unwrap();
        assert_eq!(tokens.find(&alice).unwrap().user.as_deref(), Some("alice"));
        assert_eq!(tokens.find(&admin).unwrap().role, Role::Admin);
        store.revoke("root").unwrap();
        assert!(store.load().unwrap().find(&admin).is_none());
        assert!(store.load().unwrap().find(&alice).is_some());
        assert!(store.revoke("root").is_err());

        let file = folder.path().join("state/keys/tokens.json");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&alice) && !text.contains(&alice[10..40]), "{text}");
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }

    #[test]
    fn what_is_no_token_of_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = TokenStore::new(folder.path().join("keys"));
        store.add("root", Role::Admin, None).unwrap();
        let check = |name: &str, role: Role, user: Option<&str>| {
            assert!(store.add(name, role, user).is_err(), "{name} {role:?} {user:?}");
        };
        check("root", Role::Ingest, None);
        check("", Role::Admin, None);
        check("two words", Role::Admin, None);
        check("-x", Role::Admin, None);
        check(&"x".repeat(65), Role::Admin, None);
        check("u", Role::User, None);
        check("u", Role::User, Some(""));
        check("u", Role::Admin, Some(&"x".repeat(201)));
        check("u", Role::User, Some("unknown"));
        check("u", Role::User, Some("_system"));
        check("u", Role::User, Some("alice [redacted:token]"));
        check("u", Role::Ingest, Some("alice.0123456789abcdef"));
        check("u", Role::User, Some("token=ghp_0123456789abcdefghijABCDEFGHIJ012345"));
        assert_eq!(store.load().unwrap().iter().count(), 1);

        let stranger = spelled(&[7; 32]);
        assert!(is_token(&stranger));
        assert!(store.load().unwrap().find(&stranger).is_none());
        for text in ["", "tooltrail_", &stranger[1..], &stranger[..81], &stranger.replace('7', "8"), &"é".repeat(41)] {
            assert!(!is_token(text), "{text}");
        }
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(TokenStore::new(folder.path()).add("root", Role::Admin, None).is_err());
    }

    #[test]
    fn a_damaged_or_newer_file_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = TokenStore::new(folder.path().join("keys"));
        store.add("root", Role::Admin, None).unwrap();
        for text in ["", "{", "[]", r#"{"version":2,"tokens":[]}"#] {
            let file = folder.path().join("keys/tokens.json");
            std::fs::write(&file, text).unwrap();
            assert!(store.load().is_err(), "{text}");
            assert!(store.add("second", Role::Admin, None).is_err(), "{text}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
    }

    #[test]
    fn two_who_add_at_once_both_succeed() {
        let folder = tempfile::tempdir().unwrap();
        let store = TokenStore::new(folder.path().join("keys"));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..5 {
                        store.add(&format!("t{thread}.{number}"), Role::Ingest, None).unwrap();
                    }
                });
            }
        });
        assert_eq!(store.load().unwrap().iter().count(), 20);
    }
}
