//! Warnings if other processes could read the keys. Every process of the same user can, including the tools of agents.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// Returns what is wrong with the protection of the keys, each with advice. Returns nothing if, as far as can be seen,
/// only this process can read the keys.
pub(crate) fn warnings(keys: &Path, proc_root: &Path) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    if let Ok(metadata) = std::fs::metadata(keys)
        && metadata.permissions().mode() & 0o077 != 0
    {
        found.push((
            format!("others than the service's user may look into the folder of keys, {}", keys.display()),
            "take that from them with `chmod go=`",
        ));
    }
    // If the system does not list processes, there is nothing to check.
    let Ok(own) = std::fs::metadata(proc_root.join("self")).map(|own| own.uid()) else { return found };
    if let Some(others) = others(proc_root, own, std::process::id()).filter(|others| *others > 0) {
        found.push((
            format!(
                "{others} other processes run as the service's user (uid {own}); they and their tools can read its keys, {}",
                keys.display()
            ),
            "run the service as a user of its own, as packaging/tooltrail.service does",
        ));
    }
    found
}

/// Counts the processes of a user in a process file system, without the process `ours`.
fn others(processes: &Path, user: u32, ours: u32) -> Option<usize> {
    let entries = std::fs::read_dir(processes).ok()?.flatten();
    let numbers = entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse::<u32>().ok()?;
        Some((number, entry.metadata().ok()?.uid()))
    });
    Some(numbers.filter(|(number, owner)| *number != ours && *owner == user).count())
}

#[cfg(test)]
mod tests {
    use super::{others, warnings};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    #[test]
    fn processes_of_the_same_user_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let user = std::fs::metadata(folder.path()).unwrap().uid();
        for name in ["1", "22", "333", "self", "x1", "-4"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        assert_eq!(others(folder.path(), user, 22), Some(2));
        assert_eq!(others(folder.path(), user, 4), Some(3));
        assert_eq!(others(folder.path(), user + 1, 22), Some(0));
        assert_eq!(others(&folder.path().join("missing"), user, 22), None);
    }

    #[test]
    fn keys_that_others_can_read_are_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, alone) = (folder.path().join("keys"), folder.path().join("processes"));
        std::fs::create_dir(&keys).unwrap();
        std::fs::create_dir_all(alone.join("self")).unwrap();
        let check = |mode: u32, expected: usize| {
            std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(warnings(&keys, &alone).len(), expected, "{mode:o}");
        };
        check(0o700, 0);
        check(0o750, 1);
        check(0o711, 1);
        std::fs::create_dir(alone.join("1")).unwrap();
        check(0o700, 1);
        check(0o755, 2);
    }
}
