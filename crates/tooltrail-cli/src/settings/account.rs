//! The account that runs this process.

use tooltrail::UNKNOWN_USER;

/// Returns the account's name.
pub(crate) fn account() -> String {
    let account = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    account.map_or_else(|| UNKNOWN_USER.to_owned(), |account| account.name)
}
