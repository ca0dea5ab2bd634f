//! Whether an agent runs at this moment.

use crate::hook::Client;

/// Returns whether a process of the agent runs. It is a guess by the names of processes.
pub(crate) fn is_running(client: Client) -> bool {
    let name = match client {
        Client::ClaudeCode => "claude",
        Client::Codex => "codex",
        Client::Gemini => "gemini",
        Client::Copilot => "copilot",
        Client::Cursor => "cursor",
    };
    commands().iter().any(|command| command == name)
}

/// Returns the names of the commands that run.
#[cfg(target_os = "linux")]
fn commands() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbered = processes.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()));
    let named = numbered.filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok());
    named.map(|name| name.trim_end().to_owned()).collect()
}

/// Returns the names of the commands that run.
#[cfg(not(target_os = "linux"))]
fn commands() -> Vec<String> {
    let listed = std::process::Command::new("ps").args(["-axo", "comm="]).output();
    let text = listed.map(|listed| String::from_utf8_lossy(&listed.stdout).into_owned()).unwrap_or_default();
    text.lines().map(|line| line.rsplit('/').next().unwrap_or(line).trim().to_owned()).collect()
}
