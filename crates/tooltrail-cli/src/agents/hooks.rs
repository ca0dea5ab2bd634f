//! The hooks that each agent gets.

use std::ffi::OsString;
use std::path::Path;

use crate::hook::{Client, HookArgs};

/// How long an agent waits for a hook, in seconds. A hook takes milliseconds; after this, something is wrong with the
/// machine.
const TIME_OUT_S: u64 = 5;

/// The end of each command: whatever happens, it succeeds and says nothing.
const QUIET: &str = "2>/dev/null || :";

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
    format!("{} {QUIET}", words.join(" "))
}

/// Returns a word for a shell.
fn quoted(word: &str) -> String {
    // No argument of a program holds a NUL, which is all that cannot be quoted.
    shlex::try_quote(word).unwrap_or_default().into_owned()
}

/// Returns the program and the arguments of a command if it is one of our hooks and nothing else.
///
/// It is ours if its program is called `tooltrail`, or if it has the arguments that [`Client::hooks`] gives: a program may
/// have any name.
pub(crate) fn ours(command: &str) -> Option<(String, HookArgs)> {
    let quiet = command.trim().strip_suffix(QUIET);
    let command = quiet.unwrap_or(command).trim();
    let words = shlex::split(command)?;
    let [program, hook, args @ ..] = &*words else { return None };
    let parsed = HookArgs::parse(args.iter().map(OsString::from));
    // Arguments that are not ours, and signs by which a shell would do something else too.
    let pairs = args.iter().filter(|arg| arg.starts_with("--") && arg.contains('=')).count();
    let is_whole = parsed.to_args().len() == args.len() + pairs;
    let is_plain = !command.contains([';', '&', '|', '<', '>', '$', '`', '\n'])
        || words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ") == command;
    if hook != "hook" || !is_whole || !is_plain {
        return None;
    }
    let is_named_so = Path::new(program).file_name()? == "tooltrail";
    let is_installed = quiet.is_some() && parsed.state.is_some();
    (parsed.client.is_some() && (is_named_so || is_installed)).then_some((program.to_owned(), parsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_found_again() {
        let args = HookArgs {
            home: Some("/h o/it's; $x".into()),
            user: Some("al".to_owned()),
            state: Some("/s".into()),
            ..HookArgs::default()
        };
        for program in
            ["/opt/my bin/tooltrail", "/my hook dir/tooltrail", "/it's \"a\"/tooltrail", "/b/tt", "/b/tooltrail-2"]
        {
            for client in Client::ALL {
                for hook in client.hooks(Path::new(program), &args) {
                    let found = ours(&hook.command).map(|(program, args)| (program, args.client));
                    assert_eq!(found, Some((program.to_owned(), Some(client))), "{}", hook.command);
                    assert!(hook.command.ends_with("2>/dev/null || :"));
                }
            }
        }
        let first =
            &Client::Copilot.hooks(Path::new("/b/tooltrail"), &HookArgs { home: Some("/h o".into()), ..args })[0];
        assert_eq!(
            first.command,
            "/b/tooltrail hook copilot --event preToolUse --user al --home '/h o' --state /s 2>/dev/null || :"
        );
        let by_hand = ["tooltrail hook codex", "\"/b/tooltrail\" hook codex --user=me", "/b/tooltrail hook codex || :"];
        let found = by_hand.map(|command| ours(command).is_some());
        assert_eq!(found, [true, true, false]);
        let foreign = [
            "echo hook codex",
            "/b/other hook codex",
            "/b/tooltrail hook vim",
            "/b/tooltrail mcp -- x",
            "echo hi; /b/tooltrail hook claude-code | tee -a /tmp/log",
            "/b/tooltrail hook claude-code | tee -a /tmp/log",
            "/b/tooltrail hook claude-code --home $HOME/x",
            "env X=1 /b/tooltrail hook claude-code --home /other",
            "/b/tooltrail-notify hook claude-code",
            "/b/tooltrail hook claude-code; rm -rf x",
            "/b/tooltrail hook claude-code --home /x;rm",
        ];
        for other in foreign {
            assert_eq!(ours(other), None, "{other}");
        }
    }
}
