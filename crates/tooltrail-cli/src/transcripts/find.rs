//! Finds session files: those of the agents on this machine, and those in a folder.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::transcripts::formats::Format;

/// The most folders below a folder that are looked into, so that a link in a circle or a wrong folder ends.
const LEVELS_MAX: usize = 8;

/// The ends of the names of session files.
const ENDS: [&str; 3] = [".jsonl", ".jsonl.zst", ".jsonl.gz"];

/// The beginning and the end of the names of session files of older versions of Gemini CLI.
const DOCUMENT: (&str, &str) = ("session-", ".json");

/// The only session file in a folder of Copilot CLI.
const COPILOT_FILE: &str = "events.jsonl";

/// The folder of an agent's session files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) format: Format,
    pub(crate) folder: PathBuf,
    pub(crate) below: Below,
}

/// What is below a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Below {
    /// The files whose names are those of session files, in order.
    pub(crate) files: Vec<PathBuf>,
    /// The folders that cannot be read, and why.
    pub(crate) unreadable: Vec<(PathBuf, String)>,
    /// The real paths of the folders that were looked into.
    known: HashSet<PathBuf>,
}

/// Returns the session files of the agents that have some on this machine. `variable` looks up an environment variable.
pub(crate) fn find(variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<Found> {
    let home = variable("HOME");
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let claude = variable("CLAUDE_CONFIG_DIR").or_else(|| in_home(".claude")).map(|folder| folder.join("projects"));
    let codex = variable("CODEX_HOME").or_else(|| in_home(".codex"));
    let folders = [
        (Format::ClaudeCode, claude),
        (Format::Codex, codex.as_ref().map(|folder| folder.join("sessions"))),
        (Format::Codex, codex.as_ref().map(|folder| folder.join("archived_sessions"))),
        (Format::Gemini, variable("GEMINI_CLI_HOME").or_else(|| home.clone()).map(|home| home.join(".gemini/tmp"))),
        (Format::Copilot, variable("COPILOT_HOME").or_else(|| in_home(".copilot")).map(|f| f.join("session-state"))),
        (Format::Pi, in_home(".pi/agent/sessions")),
    ];
    let found = folders.into_iter().filter_map(|(format, folder)| {
        let folder = folder?;
        let mut below = match files_below(&folder) {
            Ok(below) => below,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Below { unreadable: vec![(folder.clone(), error.to_string())], ..Below::default() },
        };
        // Beside their session files, these agents keep other files of such names.
        below.files.retain(|file| match format {
            Format::Gemini => file.components().any(|name| name.as_os_str() == "chats"),
            Format::Copilot => file.file_name().is_some_and(|name| name == COPILOT_FILE),
            Format::ClaudeCode | Format::Codex | Format::Pi => true,
        });
        let is_empty = below.files.is_empty() && below.unreadable.is_empty();
        (!is_empty).then_some(Found { format, folder, below })
    });
    found.collect()
}

/// Returns the session files below a folder. Links are followed, and each folder is looked into once.
///
/// # Errors
/// If the folder itself cannot be read.
pub(crate) fn files_below(folder: &Path) -> io::Result<Below> {
    let mut below = Below::default();
    collect(folder, LEVELS_MAX, &mut below)?;
    below.files.sort();
    below.unreadable.sort();
    Ok(below)
}

fn collect(folder: &Path, levels: usize, below: &mut Below) -> io::Result<()> {
    if !below.known.insert(folder.canonicalize()?) {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        // A link to nothing is no file.
        let Ok(file) = path.metadata() else { continue };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if file.is_dir() && levels > 0 {
            if let Err(error) = collect(&path, levels - 1, below) {
                below.unreadable.push((path, error.to_string()));
            }
        } else if file.is_file() && is_named_like_one(&name) {
            below.files.push(path);
        }
    }
    Ok(())
}

fn is_named_like_one(name: &str) -> bool {
    ENDS.iter().any(|end| name.ends_with(end)) || name.starts_with(DOCUMENT.0) && name.ends_with(DOCUMENT.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_the_agents_are_found() {
        let home = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = home.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        write(".claude/projects/-w/a.jsonl");
        write(".claude/projects/-w/a/subagents/b.jsonl");
        write(".claude/projects/-w/notes.md");
        write(".gemini/tmp/w/chats/session-2026-11-30T12-07-1a2b3c4d.jsonl");
        write(".gemini/tmp/w/chats/session-2025-11-30T12-07-1a2b3c4d.json");
        write(".gemini/tmp/w/logs.json");
        write(".copilot/session-state/s-1/events.jsonl");
        write(".copilot/session-state/s-1/notes.jsonl");
        write("elsewhere/sessions/2026/01/02/rollout.jsonl.zst");
        // A link is followed, also into a circle.
        write("moved/c.jsonl");
        std::os::unix::fs::symlink(home.path().join("moved"), home.path().join(".claude/projects/-x")).unwrap();
        std::os::unix::fs::symlink(home.path().join(".claude"), home.path().join("moved/circle")).unwrap();
        let found = find(|name| match name {
            "HOME" => Some(home.path().to_owned()),
            "CODEX_HOME" => Some(home.path().join("elsewhere")),
            _ => None,
        });
        let counts = found.iter().map(|found| (found.format, found.below.files.len())).collect::<Vec<_>>();
        assert_eq!(counts, [(Format::ClaudeCode, 3), (Format::Codex, 1), (Format::Gemini, 2), (Format::Copilot, 1)]);
    }
}
