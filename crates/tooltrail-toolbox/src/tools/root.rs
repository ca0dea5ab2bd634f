//! Locations that an operator allows callers to read.

use std::path::PathBuf;

use crate::context::Context;
use tooltrail::any_glob_matches;

/// A location whose files some callers may read. The callers are given as globs for users and roles, as in a gate rule.
///
/// ```
/// use tooltrail_toolbox::Root;
///
/// let handbook = Root::folder("/srv/handbook"); // everybody
/// let admins = Root::whole_home().roles(["admin"]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Root {
    pub(super) location: RootLocation,
    pub(super) who: Who,
}

/// The location of a root.
#[derive(Clone, Debug)]
pub(super) enum RootLocation {
    Folder(PathBuf),
    WholeHome,
    Internals,
}

/// The callers of a root.
#[derive(Clone, Debug, Default)]
pub(super) struct Who {
    users: Vec<String>,
    roles: Vec<String>,
}

impl Root {
    /// Returns a root with everything below a folder, except the home of the trails if it is inside, folders named
    /// `.tooltrail`, and keys.
    ///
    /// For a folder inside the home, the users or roles must be set.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self::new(RootLocation::Folder(path.into()))
    }

    /// Returns a root with the files of all users in the home, except `.tooltrail`. The users or roles must be set.
    pub fn whole_home() -> Self {
        Self::new(RootLocation::WholeHome)
    }

    /// Returns a root with the home's `.tooltrail`: the newest entries of all users, queues and seals. The users or
    /// roles must be set.
    pub fn internals() -> Self {
        Self::new(RootLocation::Internals)
    }

    /// Allows only users that match one of these globs.
    pub fn users<G: Into<String>>(mut self, globs: impl IntoIterator<Item = G>) -> Self {
        self.who.users.extend(globs.into_iter().map(Into::into));
        self
    }

    /// Allows only roles that match one of these globs. A caller without a role has the role "".
    pub fn roles<G: Into<String>>(mut self, globs: impl IntoIterator<Item = G>) -> Self {
        self.who.roles.extend(globs.into_iter().map(Into::into));
        self
    }

    fn new(location: RootLocation) -> Self {
        Self { location, who: Who::default() }
    }
}

impl Who {
    /// Returns whether no users and no roles are set, which allows every caller.
    pub(super) fn is_everybody(&self) -> bool {
        self.users.is_empty() && self.roles.is_empty()
    }

    /// Returns whether the caller is included.
    pub(super) fn includes(&self, ctx: &Context) -> bool {
        let asked = ctx.asks("");
        any_glob_matches(&self.users, asked.user) && any_glob_matches(&self.roles, asked.role.unwrap_or_default())
    }
}
