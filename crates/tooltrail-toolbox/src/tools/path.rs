//! Splits a path from a model into plain names. Refuses every path that could leave its root, hide a part of itself or
//! be decoded differently later.

/// Maximum bytes of a path: the limit of the system.
const PATH_BYTES_MAX: usize = 4_096;

/// The name of the recorder's own folder below the home.
pub(super) const OWN_FOLDER: &str = ".tooltrail";

/// Returns whether a path can be valid: not empty, not too long, and without control characters and backslashes.
pub(super) fn is_sane(path: &str) -> bool {
    !path.is_empty() && path.len() <= PATH_BYTES_MAX && !path.contains(|c: char| c.is_control() || c == '\\')
}

/// Returns the names of a path below a root, or `None` if one of them is empty, `.` or `..`.
pub(super) fn names(below: &str) -> Option<Vec<&str>> {
    let names: Vec<_> = below.split('/').collect();
    let plain = names.iter().all(|name| !matches!(*name, "" | "." | ".."));
    plain.then_some(names)
}

/// Returns the part of a path after a folder and its slash.
pub(super) fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    path.strip_prefix(folder)?.strip_prefix('/')
}

/// Returns whether a name contains a URL escape. This crate does not decode it, but the caller probably means a
/// different file.
pub(super) fn has_escape(name: &str) -> bool {
    let hex = |byte: &u8| byte.is_ascii_hexdigit();
    name.as_bytes().windows(3).any(|three| three[0] == b'%' && three[1..].iter().all(hex))
}

/// Returns whether a name is the recorder's own folder, also on a file system that ignores case.
pub(super) fn is_own_folder(name: &str) -> bool {
    name.eq_ignore_ascii_case(OWN_FOLDER)
}
