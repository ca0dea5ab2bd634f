//! A path as a model writes it, to plain names; whatever could climb, hide or be decoded later is no path.

/// Bytes of a path: what the system takes.
const PATH_BYTES_MAX: usize = 4_096;

/// The recorder's own folder below the home.
pub(super) const OWN_FOLDER: &str = ".tooltrail";

/// Whether a whole path is worth a look: not empty, not too long, no control characters, no backslashes.
pub(super) fn is_sane(path: &str) -> bool {
    !path.is_empty() && path.len() <= PATH_BYTES_MAX && !path.contains(|c: char| c.is_control() || c == '\\')
}

/// Returns the names of a path below a root; `None` if one of them is empty, `.` or `..`.
pub(super) fn names(below: &str) -> Option<Vec<&str>> {
    let names: Vec<_> = below.split('/').collect();
    let plain = names.iter().all(|name| !matches!(*name, "" | "." | ".."));
    plain.then_some(names)
}

/// Returns what follows a folder's spelling and its slash.
pub(super) fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    path.strip_prefix(folder)?.strip_prefix('/')
}

/// Whether a name holds an escape as in URLs. Nothing here decodes it, but whoever wrote it meant something else.
pub(super) fn has_escape(name: &str) -> bool {
    let hex = |byte: &u8| byte.is_ascii_hexdigit();
    name.as_bytes().windows(3).any(|three| three[0] == b'%' && three[1..].iter().all(hex))
}

/// Whether a name is the recorder's own folder, on a file system that folds case too.
pub(super) fn is_own_folder(name: &str) -> bool {
    name.eq_ignore_ascii_case(OWN_FOLDER)
}
