//! Settings of an administrator.

use std::path::PathBuf;

use crate::agents::{Doctor, Installer, Places, Seen, Undo};
use crate::hook::{Client, HookArgs};

#[test]
fn hooks_that_an_administrator_forbids_are_not_installed() {
    let folder = tempfile::tempdir().unwrap();
    let (home, system) = (folder.path().join("home"), folder.path().join("system"));
    let variable = |name: &str| (name == "HOME").then(|| home.clone());
    let places = Places::new(variable).unwrap().with_system(&system);
    let installer = Installer {
        places,
        program: PathBuf::from("/b/tooltrail"),
        args: HookArgs::default(),
        project: None,
        with_servers: false,
        undo: Undo::new(&folder.path().join("state")),
    };
    let mac = cfg!(target_os = "macos");
    let claude = if mac { "Library/Application Support/ClaudeCode" } else { "etc/claude-code" };
    for (client, file, text) in [
        (Client::ClaudeCode, format!("{claude}/managed-settings.json"), "{\"allowManagedHooksOnly\": true}"),
        (Client::ClaudeCode, format!("{claude}/managed-settings.d/a.json"), "{\"allowManagedHooksOnly\": true}"),
        (Client::Codex, "etc/codex/requirements.toml".to_owned(), "allow_managed_hooks_only = true\n"),
    ] {
        assert!(installer.install(client).refused.is_empty());
        let path = system.join(&file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let plan = installer.install(client);
        assert!(plan.changes.is_empty() && plan.refused[0].1.contains("administrator"), "{file}: {plan:?}");
        std::fs::remove_file(path).unwrap();
        // What was installed before is told by the doctor.
        std::fs::create_dir_all(home.join(".claude")).unwrap();
    }
    let plan = installer.install(Client::ClaudeCode);
    assert!(plan.changes.iter().all(|change| change.write().is_ok()));
    std::fs::create_dir_all(system.join(claude)).unwrap();
    std::fs::write(system.join(claude).join("managed-settings.json"), "{\"disableAllHooks\":true}").unwrap();
    let doctor = Doctor { installer: &installer, project: folder.path().to_owned() };
    let found = doctor.examine(Client::ClaudeCode, Seen::default());
    assert!(found.wrong.iter().any(|wrong| wrong.what.contains("disableAllHooks")), "{found:?}");
}
