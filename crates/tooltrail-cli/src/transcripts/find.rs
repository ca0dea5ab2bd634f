//! Finds session files: those of the agents on this machine, and those in a folder.

use std::io;
use std::path::{Path, PathBuf};

use crate::transcripts::formats::Format;

/// The most folders below a folder that are looked into, so that a link in a circle or a wrong folder ends.
const LEVELS_MAX: usize = 8;

/// The ends of the names of session files.
const ENDS: [&str; 3] = [".jsonl", ".jsonl.zst", ".jsonl.gz"];

/// The folder of an agent's session files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) format: Format,
    pub(crate) folder: PathBuf,
    pub(crate) files: Vec<PathBuf>,
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
        (Format::Pi, in_home(".pi/agent/sessions")),
    ];
    let found = folders.into_iter().filter_map(|(format, folder)| {
        let folder = folder?;
        let files = files_below(&folder).ok().filter(|files| !files.is_empty())?;
        Some(Found { format, folder, files })
    });
    found.collect()
}

/// Returns the files below a folder whose names are those of session files, in order. Links are not followed.
///
/// # Errors
/// If the folder itself cannot be read; folders below it that cannot be read are left out.
pub(crate) fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(folder, LEVELS_MAX, &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, levels: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() && levels > 0 {
            let _ = collect(&path, levels - 1, files);
        } else if kind.is_file() && ENDS.iter().any(|end| entry.file_name().to_string_lossy().ends_with(end)) {
            files.push(path);
        }
    }
    Ok(())
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
        write("elsewhere/sessions/2026/01/02/rollout.jsonl.zst");
        let found = find(|name| match name {
            "HOME" => Some(home.path().to_owned()),
            "CODEX_HOME" => Some(home.path().join("elsewhere")),
            _ => None,
        });
        let counts = found.iter().map(|found| (found.format, found.files.len())).collect::<Vec<_>>();
        assert_eq!(counts, [(Format::ClaudeCode, 2), (Format::Codex, 1)]);
    }
}
