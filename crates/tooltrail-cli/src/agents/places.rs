//! Where the agents keep their settings. The paths are those of Linux and macOS.

use std::path::{Path, PathBuf};

use crate::hook::{COPILOT_HOOKS, Client};

/// The folders of the user from which the places of all settings follow.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    home: PathBuf,
    claude: PathBuf,
    claude_state: PathBuf,
    codex: PathBuf,
    gemini: PathBuf,
    copilot: PathBuf,
    cursor: PathBuf,
    /// The folder in which an administrator's settings are.
    system: PathBuf,
}

impl Places {
    /// Returns the places for this user. `variable` looks up an environment variable; `None` if no home folder is known.
    pub(crate) fn new(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<Self> {
        let home = variable("HOME")?;
        let claude = variable("CLAUDE_CONFIG_DIR");
        let gemini = variable("GEMINI_CLI_HOME").unwrap_or_else(|| home.clone());
        Some(Self {
            claude_state: claude.clone().unwrap_or_else(|| home.clone()),
            claude: claude.unwrap_or_else(|| home.join(".claude")),
            codex: variable("CODEX_HOME").unwrap_or_else(|| home.join(".codex")),
            gemini: gemini.join(".gemini"),
            copilot: variable("COPILOT_HOME").unwrap_or_else(|| home.join(".copilot")),
            cursor: home.join(".cursor"),
            system: PathBuf::from("/"),
            home,
        })
    }

    /// Returns the folder of an agent's settings. It exists if the agent has been used.
    pub(crate) fn folder(&self, client: Client) -> &Path {
        match client {
            Client::ClaudeCode => &self.claude,
            Client::Codex => &self.codex,
            Client::Gemini => &self.gemini,
            Client::Copilot => &self.copilot,
            Client::Cursor => &self.cursor,
        }
    }

    /// Whether the agent has been used on this machine.
    pub(crate) fn is_found(&self, client: Client) -> bool {
        self.folder(client).is_dir()
    }

    /// Returns the file with the hooks of an agent: the user's, or for a project that of this user alone.
    pub(crate) fn hooks(&self, client: Client, project: Option<&Path>) -> Option<PathBuf> {
        if let Some(project) = project {
            return (client == Client::ClaudeCode).then(|| project.join(".claude/settings.local.json"));
        }
        Some(match client {
            Client::ClaudeCode => self.claude.join("settings.json"),
            Client::Codex => self.codex.join("hooks.json"),
            Client::Gemini => self.gemini.join("settings.json"),
            Client::Copilot => self.copilot.join(COPILOT_HOOKS),
            Client::Cursor => self.cursor.join("hooks.json"),
        })
    }

    /// Returns the files with the MCP servers of an agent: the user's, and those of a project if one is given.
    pub(crate) fn servers(&self, client: Client, project: Option<&Path>) -> Vec<PathBuf> {
        let (user, of_project) = match client {
            Client::ClaudeCode => (self.claude_state(), ".mcp.json"),
            Client::Codex => (self.codex.join("config.toml"), ".codex/config.toml"),
            Client::Gemini => (self.gemini.join("settings.json"), ".gemini/settings.json"),
            Client::Copilot => (self.copilot.join("mcp-config.json"), ".mcp.json"),
            Client::Cursor => (self.cursor.join("mcp.json"), ".cursor/mcp.json"),
        };
        match project {
            None => vec![user],
            Some(project) => vec![project.join(of_project)],
        }
    }

    /// Returns the file in which Claude Code keeps its state, and the servers of the user and of each project.
    pub(crate) fn claude_state(&self) -> PathBuf {
        let old = self.claude.join(".config.json");
        let is_used = old.metadata().is_ok_and(|file| file.len() > 0);
        if is_used { old } else { self.claude_state.join(".claude.json") }
    }

    /// Returns the settings beside the hooks that can turn hooks off.
    pub(crate) fn switches(&self, client: Client, project: &Path) -> Vec<PathBuf> {
        match client {
            Client::ClaudeCode => vec![
                self.claude.join("settings.json"),
                project.join(".claude/settings.json"),
                project.join(".claude/settings.local.json"),
            ],
            Client::Codex => vec![self.codex.join("config.toml")],
            Client::Gemini => vec![self.gemini.join("settings.json"), project.join(".gemini/settings.json")],
            Client::Copilot => vec![self.copilot.join("settings.json"), self.copilot.join("config.json")],
            Client::Cursor => Vec::new(),
        }
    }

    /// Returns the settings of an administrator.
    pub(crate) fn managed(&self, client: Client) -> Vec<PathBuf> {
        let (linux, mac, names): (&str, &str, &[&str]) = match client {
            Client::ClaudeCode => (
                "etc/claude-code",
                "Library/Application Support/ClaudeCode",
                &["managed-settings.json", "managed-settings.d"],
            ),
            Client::Codex => ("etc/codex", "etc/codex", &["requirements.toml", "managed_config.toml"]),
            Client::Gemini => ("etc/gemini-cli", "Library/Application Support/GeminiCli", &["settings.json"]),
            Client::Copilot => ("etc/github-copilot", "etc/github-copilot", &["policy.d"]),
            Client::Cursor => ("etc/cursor", "Library/Application Support/Cursor", &["hooks.json"]),
        };
        let folder = self.system.join(if cfg!(target_os = "macos") { mac } else { linux });
        let paths = names.iter().map(|name| folder.join(name));
        paths.flat_map(|path| if path.is_dir() { json_files(&path) } else { vec![path] }).collect()
    }

    /// Returns the same places with another folder for the settings of an administrator.
    #[cfg(test)]
    pub(crate) fn with_system(self, system: &Path) -> Self {
        Self { system: system.to_owned(), ..self }
    }

    /// Returns a path as people write it, with `~` for the home folder.
    pub(crate) fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.home) {
            Ok(rest) => format!("~/{}", rest.display()),
            Err(_) => path.display().to_string(),
        }
    }
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let mut files = files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect::<Vec<_>>();
    files.sort();
    files
}
