//! The hooks that each agent gets.

use std::ffi::OsString;
use std::path::Path;

use crate::hook::{Client, HookArgs};

/// How long an agent waits for a hook, in seconds. A hook takes milliseconds; after this, something is wrong with the
/// machine.
const TIME_OUT_S: u64 = 5;

/// How the hooks stand in an agent's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `{"hooks":{EVENT:[{"hooks":[{"type":"command","command":…,"timeout":…}]}]}}`
    Grouped,
    /// `{"version":1,"hooks":{EVENT:[{"type":"command","bash":…,"timeoutSec":…}]}}`, with these names of the last two.
    Flat { command: &'static str, time_out: &'static str },
}

/// One hook that an agent must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    pub(crate) event: &'static str,
    pub(crate) command: String,
    pub(crate) time_out: u64,
}

impl Client {
    /// Returns the events that tell of calls, or that something has ended with which calls end.
    pub(crate) const fn events(self) -> &'static [&'static str] {
        match self {
            Self::ClaudeCode => &[
                "PreToolUse",
                "PostToolUse",
                "PostToolUseFailure",
                "PostToolBatch",
                "PermissionDenied",
                "Stop",
                "StopFailure",
                "SubagentStop",
                "SessionStart",
                "SessionEnd",
            ],
            Self::Codex => {
                &["PreToolUse", "PostToolUse", "Stop", "SubagentStop", "Interrupt", "SessionStart", "SessionEnd"]
            }
            Self::Gemini => &["BeforeTool", "AfterTool", "AfterAgent", "SessionStart", "SessionEnd"],
            Self::Copilot => &[
                "preToolUse",
                "postToolUse",
                "postToolUseFailure",
                "agentStop",
                "subagentStop",
                "sessionStart",
                "sessionEnd",
            ],
            Self::Cursor => &[
                "preToolUse",
                "postToolUse",
                "postToolUseFailure",
                "subagentStop",
                "stop",
                "sessionStart",
                "sessionEnd",
            ],
        }
    }

    pub(crate) const fn shape(self) -> Shape {
        match self {
            Self::ClaudeCode | Self::Codex | Self::Gemini => Shape::Grouped,
            Self::Copilot => Shape::Flat { command: "bash", time_out: "timeoutSec" },
            Self::Cursor => Shape::Flat { command: "command", time_out: "timeout" },
        }
    }

    /// Returns the time limit in the agent's unit.
    const fn time_out(self) -> u64 {
        match self {
            Self::Gemini => TIME_OUT_S * 1_000,
            Self::ClaudeCode | Self::Codex | Self::Copilot | Self::Cursor => TIME_OUT_S,
        }
    }

    /// Returns the hooks of an agent, which run this program with these arguments.
    pub(crate) fn hooks(self, program: &Path, args: &HookArgs) -> Vec<Hook> {
        let hook = |event: &&'static str| {
            // Most events of Copilot do not tell their names.
            let named = (self == Self::Copilot).then(|| (*event).to_owned());
            let args = HookArgs { client: Some(self), event: named, ..args.clone() };
            Hook { event, command: command(program, &args), time_out: self.time_out() }
        };
        self.events().iter().map(hook).collect()
    }
}

/// Returns the command of a hook, for a shell.
///
/// Gemini CLI and Copilot CLI refuse every call if the command fails, as it does after the program was removed, and Gemini
/// CLI also reads its error text. So the command always succeeds and says nothing by itself.
fn command(program: &Path, args: &HookArgs) -> String {
    let words = [program.as_os_str().to_owned(), OsString::from("hook")].into_iter().chain(args.to_args());
    let words = words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>();
    format!("{} 2>/dev/null || :", words.join(" "))
}

/// Returns a word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Returns the program and the agent of a command if it is one of our hooks, whatever its arguments.
pub(crate) fn ours(command: &str) -> Option<(String, Client)> {
    let (program, rest) = command.split_once(" hook ")?;
    let program = program.trim().trim_matches(['\'', '"']);
    let name = Path::new(program).file_name()?.to_str()?;
    let client = Client::parse(rest.split_whitespace().next()?)?;
    (name == "tooltrail" || name.starts_with("tooltrail-")).then(|| (program.to_owned(), client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_found_again() {
        let args = HookArgs { home: Some("/h o/it's".into()), user: Some("al".to_owned()), ..HookArgs::default() };
        for client in Client::ALL {
            for hook in client.hooks(Path::new("/opt/my bin/tooltrail"), &args) {
                assert_eq!(ours(&hook.command), Some(("/opt/my bin/tooltrail".to_owned(), client)));
                assert!(hook.command.ends_with("2>/dev/null || :"));
            }
        }
        let first = &Client::Copilot.hooks(Path::new("/b/tooltrail"), &args)[0].command;
        assert_eq!(
            first,
            r"/b/tooltrail hook copilot --event preToolUse --user al --home '/h o/it'\''s' 2>/dev/null || :"
        );
        for other in ["echo hook codex", "/b/other hook codex", "/b/tooltrail hook vim", "/b/tooltrail mcp -- x"] {
            assert_eq!(ours(other), None, "{other}");
        }
    }
}
