//! Default folders of the user, and helpers for given paths.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Returns a folder of the user: the value of the environment variable if it is an absolute path, else a folder below
/// `$HOME`.
pub(crate) fn user_folder(variable: &str, below_home: &str, flag: &str) -> Result<PathBuf, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home))).ok_or_else(|| {
        Failure::could_not(format!("neither {variable} nor HOME names a folder"), format!("name one with {flag}"))
    })
}

/// Returns the path if it is not empty, because an empty environment variable counts as unset.
pub(crate) fn named(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !path.as_os_str().is_empty())
}

/// Returns an absolute path without `..` and, as far as the path exists, without symbolic links.
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
