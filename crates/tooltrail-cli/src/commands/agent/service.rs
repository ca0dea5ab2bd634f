//! The service to which the hooks of this user deliver.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::stdin_is_terminal;
use crate::private_folder;
use crate::tokens::is_token;

/// The file in the folder for state that says where the installed hooks deliver.
const FILE: &str = "service.json";

/// The default file of the token.
const TOKEN_FILE: &str = "service.token";

/// The most bytes that are read from stdin for a token.
const TOKEN_BYTES_MAX: u64 = 4 * 1024;

/// Where hooks deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HookService {
    pub(super) to: String,
    pub(super) token_file: PathBuf,
}

impl HookService {
    /// Returns the service that is named, with the file of its token.
    ///
    /// # Errors
    /// The address is none.
    pub(super) fn named(to: String, token_file: Option<PathBuf>, state: &Path) -> Result<Self, Failure> {
        Client::check_address(&to)
            .map_err(|error| Failure::could_not(format!("--service {to}: {error}"), "mend it"))?;
        let token_file = token_file.unwrap_or_else(|| state.join(TOKEN_FILE));
        Ok(Self { to, token_file: crate::settings::folders::resolved(&token_file) })
    }

    /// Returns the service that an earlier installation has named.
    pub(super) fn stored(state: &Path) -> Option<Self> {
        let mut text = String::new();
        let file = crate::regular_file::open(&state.join(FILE)).ok()?;
        file.take(TOKEN_BYTES_MAX).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Stores the token that comes on stdin, and which service the hooks have. Without a token on stdin, the file must
    /// have one.
    ///
    /// # Errors
    /// There is no token, or the files cannot be written.
    pub(super) fn store(&self, state: &Path) -> Result<(), Failure> {
        if let Some(token) = token_on_stdin()? {
            write(&self.token_file, &format!("{token}\n"))?;
        } else if !self.token_file.exists() {
            return Err(Failure::could_not(
                format!("there is no token in {}", self.token_file.display()),
                "pipe into this command what `tooltrail token add NAME --role ingest --kind spool --user USER` prints for the service's owner",
            ));
        }
        Client::token_in(&self.token_file)?;
        write(&state.join(FILE), &serde_json::to_string(self).unwrap_or_default())
    }

    /// Forgets the service, because hooks are installed that record into a home.
    pub(super) fn forget(state: &Path) {
        let _ = std::fs::remove_file(state.join(FILE));
    }
}

/// Reads a token from stdin, unless that is a terminal or empty.
fn token_on_stdin() -> Result<Option<String>, Failure> {
    if stdin_is_terminal() {
        return Ok(None);
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(TOKEN_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::io("read", "stdin", &error))?;
    match text.trim() {
        "" => Ok(None),
        token if is_token(token) => Ok(Some(token.to_owned())),
        _ => Err(Failure::could_not(
            "what comes on stdin is no token",
            "pipe in what `tooltrail token add` printed, and nothing else",
        )),
    }
}

/// Writes a file that only this user may read.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io("write", path.display(), &error);
    let folder = path.parent().unwrap_or(Path::new("/"));
    private_folder::create(folder).map_err(failed)?;
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new);
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())).map_err(failed)?;
    std::fs::rename(new, path).map_err(failed)
}
