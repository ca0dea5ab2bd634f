//! The files for packagers, judged by the tools that will read them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The exposure that `systemd-analyze security` may find at most, in tenths: 10 is safe, 100 is none.
const EXPOSURE_MAX: &str = "15";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Writes the unit with the binary of this build in place of the installed one.
fn unit(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(root().join("packaging/tooltrail.service")).unwrap();
    assert!(text.contains("/usr/local/bin/tooltrail serve"), "{text}");
    let file = folder.join("tooltrail.service");
    std::fs::write(&file, text.replace("/usr/local/bin/tooltrail", env!("CARGO_BIN_EXE_tooltrail"))).unwrap();
    file
}

fn analyze(args: &[&str], unit: &Path) -> Option<(bool, String)> {
    let output = match Command::new("systemd-analyze").args(args).arg(unit).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: systemd-analyze: {error} (Debian's package systemd has it)");
            return None;
        }
    };
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[test]
fn the_unit_is_understood_and_shut_in() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(folder.path());
    if let Some((ok, said)) = analyze(&["verify", "--man=no"], &unit) {
        let ours = said.lines().filter(|line| line.contains("tooltrail")).collect::<Vec<_>>();
        assert!(ok && ours.is_empty(), "{said}");
    }
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    if let Some((ok, said)) = analyze(&["security", "--offline=yes", &threshold], &unit) {
        assert!(ok, "{said}");
    }
}

/// Its commands run as the unit gives them: the same words and variables.
#[test]
fn the_unit_s_commands_are_ours() {
    let text = std::fs::read_to_string(root().join("packaging/tooltrail.service")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let variables = text.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('='));
    let variables = variables
        .map(|(name, value)| (name, value.replace("/var/lib/tooltrail", folder.path().to_str().unwrap())))
        .collect::<Vec<_>>();
    assert_eq!(variables.len(), 2, "home and keys");
    let command = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap().split(' ').skip(1);
    let check = Command::new(env!("CARGO_BIN_EXE_tooltrail"))
        .args(command("ExecStartPre="))
        .env_clear()
        .envs(variables.clone())
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let said: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(said["home"]["from"], "TOOLTRAIL_HOME");
    let help =
        Command::new(env!("CARGO_BIN_EXE_tooltrail")).args(command("ExecStart=")).arg("--help").output().unwrap();
    assert!(help.status.success(), "{}", String::from_utf8_lossy(&help.stderr));
}
