//! What callers may read, as an operator says it.

use std::path::PathBuf;

use crate::context::Context;
use tooltrail::any_glob_matches;

/// A location whose files some callers may read, and who they are: globs over users and roles, as in a gate's rule.
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

/// Where it is.
#[derive(Clone, Debug)]
pub(super) enum RootLocation {
    Folder(PathBuf),
    WholeHome,
    Internals,
}

/// Whom it is for.
#[derive(Clone, Debug, Default)]
pub(super) struct Who {
    users: Vec<String>,
    roles: Vec<String>,
}

impl Root {
    /// Everything below a folder, but for the home of the trails where it lies there, folders named `.tooltrail`, and
    /// keys.
    ///
    /// A folder inside the home must name its users or roles.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self::new(RootLocation::Folder(path.into()))
    }

    /// Everybody's files in the home, but not `.tooltrail`. It must name its users or roles.
    pub fn whole_home() -> Self {
        Self::new(RootLocation::WholeHome)
    }

    /// The home's `.tooltrail`: everybody's newest entries, queues and seals. It must name its users or roles.
    pub fn internals() -> Self {
        Self::new(RootLocation::Internals)
    }

    /// Narrows it to users that match one of these globs.
    pub fn users<G: Into<String>>(mut self, globs: impl IntoIterator<Item = G>) -> Self {
        self.who.users.extend(globs.into_iter().map(Into::into));
        self
    }

    /// Narrows it to roles that match one of these globs, no role being the empty one.
    pub fn roles<G: Into<String>>(mut self, globs: impl IntoIterator<Item = G>) -> Self {
        self.who.roles.extend(globs.into_iter().map(Into::into));
        self
    }

    fn new(location: RootLocation) -> Self {
        Self { location, who: Who::default() }
    }
}

impl Who {
    /// Whether it names nobody, which is everybody.
    pub(super) fn is_everybody(&self) -> bool {
        self.users.is_empty() && self.roles.is_empty()
    }

    /// Whether the caller is one of them.
    pub(super) fn includes(&self, ctx: &Context) -> bool {
        let asked = ctx.asks("");
        any_glob_matches(&self.users, asked.user) && any_glob_matches(&self.roles, asked.role.unwrap_or_default())
    }
}
