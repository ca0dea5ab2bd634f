//! Which trail is a caller's own, and nobody else's.

use tooltrail::{has_own_trail, outside_folder, user_of};

use crate::context::Context;

/// Returns the caller's user, if a trail is theirs alone by that name.
///
/// [`has_own_trail`] says why one is not. The service has the same rule for tokens.
pub(super) fn own_user(ctx: &Context) -> Option<&str> {
    Some(ctx.user.as_str()).filter(|user| has_own_trail(user))
}

/// Returns the folders of a user below the home: the encoded one first, then the bare id where an older writer, who
/// did not encode, may have made it and no other user's encoding is spelled like it.
pub(super) fn own_folders(user: &str) -> Vec<String> {
    let mut folders = vec![outside_folder(user)];
    if user_of(user).is_none() {
        folders.push(user.to_owned());
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::{own_folders, own_user};
    use crate::context::Context;

    #[track_caller]
    fn check(user: &str, want: Option<&[&str]>) {
        let ctx = Context::new(user);
        let folders = own_user(&ctx).map(own_folders);
        assert_eq!(
            folders.as_deref(),
            want.map(|want| want.iter().map(|&w| w.to_owned()).collect::<Vec<_>>()).as_deref(),
            "{user:?}"
        );
    }

    #[test]
    fn only_a_name_of_its_own_has_a_trail() {
        check("alice", Some(&["alice"]));
        check("Alice", Some(&["%41lice", "Alice"]));
        check("%41lice", Some(&["%2541lice"]));
        check("..", Some(&["%2E%2E", ".."]));
        check("a.b", Some(&["a%2Eb", "a.b"]));
        check("", None);
        check("unknown", None);
        check("_system", None);
        check("[redacted:x]", None);
        check("long.0123456789abcdef", None);
        check(&format!("long.{}", "0f".repeat(32)), None);
        check("mail.0123456789abcde", Some(&["mail%2E0123456789abcde", "mail.0123456789abcde"]));
    }
}
