//! Finds the trail that belongs to one caller only.

use tooltrail::{has_own_trail, outside_folder, user_of};

use crate::context::Context;

/// Returns the caller's user name if a trail belongs to this user alone.
///
/// [`has_own_trail`] explains which names have no own trail. The service uses the same rule for tokens.
pub(super) fn own_user(ctx: &Context) -> Option<&str> {
    Some(ctx.user.as_str()).filter(|user| has_own_trail(user))
}

/// Returns the folders of a user below the home. The first is the encoded name. The second is the plain id, if an older
/// writer, which did not encode names, may have made it and it is not the encoded name of another user.
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
