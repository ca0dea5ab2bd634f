//! Fuzzing of user folders: different users have different folders, and each folder is a single plain name.

use super::draw::Draw;
use crate::home::{OUTSIDE_SYSTEM_USER, OWN_FOLDER, SYSTEM_USER, folder_of, outside_folder, redacted_folder, user_of};

/// Maximum bytes of a generated user id: well above the length at which folder names are cut.
const USER_BYTES_MAX: usize = 1_024;

/// Maximum bytes of a name in a file system.
const NAME_BYTES_MAX: usize = 255;

/// Tests two user ids and a folder name made from any bytes.
pub(super) fn folder(data: &[u8]) {
    let mut draw = Draw::new(data);
    let one = draw.text(USER_BYTES_MAX);
    let (at, other) = (draw.below(USER_BYTES_MAX), String::from_utf8_lossy(draw.rest()));
    // The second id begins like the first, because a collision is most likely between similar ids.
    let cut = (0..=at.min(one.len())).rev().find(|at| one.is_char_boundary(*at)).unwrap_or(0);
    let two = format!("{}{other}", &one[..cut]);
    for user in [&*one, &*two] {
        is_found_again(user);
    }
    are_told_apart(&one, &two);
    if let Some(user) = user_of(&other) {
        assert!(outside_folder(&user) == other || folder_of(&user) == other, "{other} is no encoding of {user:?}");
    }
}

/// Returns whether a name is a single path component that means the same on every file system, and is not the
/// recorder's own folder.
pub(super) fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-%.ABCDEF".contains(&byte);
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(plain)
        && !name.starts_with('.')
        && name != OWN_FOLDER
}

fn is_found_again(user: &str) {
    if user.is_empty() {
        return;
    }
    let (own, outside) = (folder_of(user), outside_folder(user));
    for name in [&own, &outside, &redacted_folder(user, "0123456789abcdef")] {
        assert!(is_plain_name(name), "{user:?} becomes {name:?}");
    }
    assert_eq!(own == outside, user != SYSTEM_USER, "{user:?}");
    assert_ne!(outside, SYSTEM_USER, "an outside user has our own folder");
    // A cut folder name does not contain the user id; a complete one does.
    let shown = if user == SYSTEM_USER { OUTSIDE_SYSTEM_USER } else { user };
    let expected = (!outside.contains('.')).then_some(shown);
    assert_eq!(user_of(&outside).as_deref(), expected, "{outside}");
    assert!(user_of(&redacted_folder(user, "0123456789abcdef")).is_none());
}

/// Checks that different ids have different folders, even on a file system that ignores case.
fn are_told_apart(one: &str, two: &str) {
    let same = one == two;
    assert_eq!(outside_folder(one).eq_ignore_ascii_case(&outside_folder(two)), same, "{one:?} {two:?}");
    let keyed = |user: &str| redacted_folder(user, "0123456789abcdef");
    assert!(!keyed(one).eq_ignore_ascii_case(&outside_folder(two)), "{one:?} redacted meets {two:?}");
}
