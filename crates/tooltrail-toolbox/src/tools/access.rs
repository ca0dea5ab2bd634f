//! Finds the file for a caller's path and decides whether the caller may read it. The decision uses only names and no
//! file is opened before it, so that a refusal reveals nothing about which files exist.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tooltrail::disk::{Disk, RealDisk};
use tooltrail::{Error, Home, outside_folder};

use crate::context::Context;
use crate::tools::own::{own_folders, own_user};
use crate::tools::path::{OWN_FOLDER, below, has_escape, is_own_folder, is_sane, names};
use crate::tools::root::{Root, RootLocation, Who};

/// The folder, below a user's folder, that contains the day files.
const TRAIL_FOLDER: &str = "tool_audit";

/// Folders that represent the machine and contain no real files. A root must not be inside one of them or contain one
/// of them.
const MACHINE: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The rules about who may read what, with all roots resolved once.
#[derive(Debug)]
pub(super) struct Access {
    home: Folder,
    /// A folder with this name, at any place, contains the home's keys, unless the keys are configured to be elsewhere.
    home_id: String,
    keys: Option<PathBuf>,
    whole_home: Vec<Who>,
    internals: Vec<Who>,
    folders: Vec<(Folder, Who)>,
}

/// An open folder. If its path is moved or linked later, this has no effect.
#[derive(Debug)]
struct Folder {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// The resolved path and the path as it was given; callers may use either.
    spellings: Vec<String>,
    in_home: bool,
}

/// A file that the caller may read. It may not exist.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) names: Vec<String>,
    /// Whether the file is in the home, so that it may contain the calls of other users.
    pub(super) in_home: bool,
}

impl Access {
    /// Resolves all roots.
    ///
    /// # Errors
    /// [`Error::Input`] for a root that would allow more than it says; [`Error::Io`] for a root that cannot be opened.
    pub(super) fn resolve(home: &Home, keys: Option<&Path>, roots: Vec<Root>) -> Result<Self, Error> {
        let mut access = Self {
            home: Folder::open(home.root())?,
            home_id: home.id()?,
            keys: keys.map(resolved),
            whole_home: Vec::new(),
            internals: Vec::new(),
            folders: Vec::new(),
        };
        access.home.in_home = true;
        for Root { location, who } in roots {
            let open_to_all = who.is_everybody();
            let narrow = |what: &str| Error::input(what, "narrow it with .roles([…]) or .users([…])");
            match location {
                RootLocation::WholeHome if open_to_all => {
                    return Err(narrow("the whole home would be open to everybody"));
                }
                RootLocation::Internals if open_to_all => {
                    return Err(narrow("the internals would be open to everybody"));
                }
                RootLocation::WholeHome => access.whole_home.push(who),
                RootLocation::Internals => access.internals.push(who),
                RootLocation::Folder(path) => {
                    let folder = access.folder(&path)?;
                    if folder.in_home && open_to_all {
                        return Err(narrow("a folder inside the home would be open to everybody"));
                    }
                    access.folders.push((folder, who));
                }
            }
        }
        Ok(access)
    }

    /// Returns the file for a path, or `None` if this caller may not read it or the path is not valid.
    ///
    /// A relative path starts at the caller's own trail. If the caller has none, it starts at the first folder that the
    /// caller may read.
    pub(super) fn find(&self, ctx: &Context, path: &str) -> Option<Allowed> {
        if !is_sane(path) {
            return None;
        }
        if path.starts_with('/') {
            let folders = self.folders.iter().filter(|(_, who)| who.includes(ctx)).map(|(folder, _)| folder);
            return self
                .in_home(ctx, path)
                .or_else(|| folders.into_iter().find_map(|folder| self.in_folder(folder, path)));
        }
        match own_user(ctx) {
            Some(user) => self.home_names(ctx, &format!("{}/{TRAIL_FOLDER}/{path}", outside_folder(user))),
            None => {
                let (folder, _) = self.folders.iter().find(|(_, who)| who.includes(ctx))?;
                self.below(folder, path)
            }
        }
    }

    fn in_home(&self, ctx: &Context, path: &str) -> Option<Allowed> {
        self.home.spellings.iter().find_map(|home| self.home_names(ctx, below(path, home)?))
    }

    /// Decides about a path below the home.
    fn home_names(&self, ctx: &Context, below: &str) -> Option<Allowed> {
        let names = names(below)?;
        let (folder, rest) = names.split_first()?;
        // Only the name of a user's folder is encoded, so it alone may contain an escape; all names below it come from
        // us or from a tool.
        let plain = !rest.iter().any(|name| has_escape(name) || is_own_folder(name) || **name == self.home_id);
        let allowed = if is_own_folder(folder) {
            *folder == OWN_FOLDER && self.internals.iter().any(|who| who.includes(ctx))
        } else {
            let own = rest.len() > 1
                && rest[0] == TRAIL_FOLDER
                && own_user(ctx).is_some_and(|user| own_folders(user).iter().any(|own| own == folder));
            own || self.whole_home.iter().any(|who| who.includes(ctx))
        };
        (plain && allowed && !self.is_key(&self.home.path.join(below))).then(|| self.home.allowed(&names))
    }

    fn in_folder(&self, folder: &Folder, path: &str) -> Option<Allowed> {
        folder.spellings.iter().find_map(|spelling| self.below(folder, below(path, spelling)?))
    }

    /// Decides about a path below a folder that the caller may read.
    fn below(&self, folder: &Folder, below: &str) -> Option<Allowed> {
        let names = names(below)?;
        let plain = !names.iter().any(|name| has_escape(name) || is_own_folder(name) || *name == self.home_id);
        let whole = folder.path.join(below);
        let trails = !folder.in_home && whole.starts_with(&self.home.path);
        (plain && !trails && !self.is_key(&whole)).then(|| folder.allowed(&names))
    }

    fn is_key(&self, path: &Path) -> bool {
        self.keys.as_ref().is_some_and(|keys| path.starts_with(keys))
    }

    /// Opens a folder that an operator allows as a root.
    fn folder(&self, path: &Path) -> Result<Folder, Error> {
        let mut folder = Folder::open(path)?;
        let wrong = |what: &str, hint| Err(Error::input(format!("{}: {what}", path.display()), hint));
        let machine = MACHINE.iter().any(|location| folder.path.starts_with(location));
        if machine || folder.path.parent().is_none() {
            return wrong("a root that holds the machine itself", "name the folder that agents need");
        }
        if folder.path == self.home.path {
            return wrong("this is the home of the trails", "use Root::whole_home() and name the roles");
        }
        let hidden = |name: &str| is_own_folder(name) || name == self.home_id;
        if folder.path.iter().any(|name| name.to_str().is_some_and(hidden)) || self.is_key(&folder.path) {
            return wrong("keys or the recorder's own files lie here", "use Root::internals() for `.tooltrail`");
        }
        folder.in_home = folder.path.starts_with(&self.home.path);
        Ok(folder)
    }
}

impl Folder {
    fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Io { action: "open the root", path: path.to_owned(), source };
        let resolved = path.canonicalize().map_err(failed)?;
        let disk = RealDisk::open(&resolved, false).map_err(failed)?;
        let Some(text) = resolved.to_str() else {
            return Err(Error::input(format!("{}: not UTF-8", path.display()), "name a folder that JSON can name"));
        };
        let mut spellings = vec![text.to_owned()];
        spellings.extend(path.to_str().filter(|given| given.starts_with('/') && *given != text).map(str::to_owned));
        Ok(Self { disk: Arc::new(disk), path: resolved, spellings, in_home: false })
    }

    fn allowed(&self, names: &[&str]) -> Allowed {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Allowed { disk: Arc::clone(&self.disk), names, in_home: self.in_home }
    }
}

/// Returns a path in which the links of its existing part are resolved.
fn resolved(path: &Path) -> PathBuf {
    let known = path.ancestors().find_map(|ancestor| {
        let rest = path.strip_prefix(ancestor).ok()?;
        Some(ancestor.canonicalize().ok()?.join(rest))
    });
    known.unwrap_or_else(|| path.to_owned())
}
