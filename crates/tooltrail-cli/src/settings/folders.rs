//! Folders of the user, and paths as they are given.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Returns a user's folder: the variable's where it is an absolute path, else one below `$HOME`.
pub(crate) fn user_folder(variable: &str, below_home: &str, flag: &str) -> Result<PathBuf, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home))).ok_or_else(|| {
        Failure::could_not(format!("neither {variable} nor HOME names a folder"), format!("name one with {flag}"))
    })
}

/// Returns a path that is not empty: an empty variable counts as unset.
pub(crate) fn named(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !path.as_os_str().is_empty())
}

/// Returns a path without links and `..`, as far as it exists.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for there in path.ancestors() {
        if let Ok(real) = there.canonicalize() {
            let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
            return rest.components().fold(real, |so_far, part| match part {
                std::path::Component::ParentDir => so_far.parent().map(Path::to_owned).unwrap_or(so_far),
                part => so_far.join(part),
            });
        }
    }
    path
}
