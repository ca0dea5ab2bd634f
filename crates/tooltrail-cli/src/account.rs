//! The accounts of this machine.

use nix::unistd::{Uid, User, getuid};

/// Returns the name of the account that runs this process.
pub(crate) fn account() -> String {
    account_of(getuid().as_raw())
}

/// Returns the name of the account with this user id, or `uid-N` if it has none.
pub(crate) fn account_of(uid: u32) -> String {
    let account = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    account.map_or_else(|| format!("uid-{uid}"), |account| account.name)
}
