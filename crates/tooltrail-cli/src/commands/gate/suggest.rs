//! `tooltrail gate suggest`: writes the shortest list of rules that allows what was used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};
use tooltrail::{Reason, glob_matches};

use crate::commands::gate::cover::cover;
use crate::commands::gate::past;
use crate::failure::{Exit, Failure};
use crate::output::{self, Data};
use crate::question::QuestionArgs;
use crate::settings::Settings;

/// Write the shortest list of rules that allows what was used, as TOML
///
/// Each rule has the users and the tools that it allows, and a comment with the number of calls behind it. Calls that
/// were denied, and calls of unknown tools, do not count. Tools of MCP servers are written as mcp__SERVER__TOOL, so that
/// the same rule holds behind `tooltrail mcp` and in a coding agent's hook.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail gate suggest last=30d > rules.toml
  tooltrail gate test rules.toml last=90d             what these rules would deny")]
pub(super) struct Args {
    #[command(flatten)]
    asked: QuestionArgs,
}

/// A rule that allows some tools to some users.
#[derive(Debug)]
struct Allowed {
    users: BTreeSet<String>,
    tools: BTreeSet<String>,
    calls: u64,
}

/// Runs the command.
pub(super) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let mut used = BTreeMap::<(String, String), u64>::new();
    let mut denied = 0;
    let past = past::read(&args.asked, settings, |call| {
        // A tool that the server does not have needs no rule.
        if call.was_denied() || call.entry.reason == Some(Reason::UnknownTool) {
            denied += 1;
            return;
        }
        *used.entry((call.entry.user.clone(), call.full_name.clone())).or_default() += 1;
    })?;
    let rules = rules(&used);
    if used.is_empty() {
        output::talk("no call was found, so these rules deny everything: ask about other days or users");
    }
    if settings.flags.json {
        let rows = rules.iter().enumerate().map(|(n, rule)| {
            json!({ "name": name(n), "effect": "allow", "users": rule.users, "tools": rule.tools, "calls": rule.calls })
        });
        let rows = rows.collect::<Vec<Value>>();
        output::print_json(&json!({
            "default": "deny", "rules": rows, "calls": past.calls, "denied": denied,
            "skipped": output::skipped_json(&past.read.skipped), "complete": past.read.complete,
        }))?;
    } else {
        let mut data = Data::styled();
        for line in toml(&rules, past.calls, denied).lines() {
            data.line(line)?;
        }
        data.finish()?;
    }
    output::tell_skipped(&past.read.skipped, &past.read.unreadable_names);
    Ok(Exit::Yes.into())
}

/// Returns the shortest list of rules that allows these pairs of user and tool, and no others.
fn rules(used: &BTreeMap<(String, String), u64>) -> Vec<Allowed> {
    let users = used.keys().map(|(user, _)| user).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let tools = used.keys().map(|(_, tool)| tool).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let mut rows = vec![BTreeSet::new(); users.len()];
    for (user, tool) in used.keys() {
        if let (Ok(row), Ok(column)) = (users.binary_search(&user), tools.binary_search(&tool)) {
            rows[row].insert(column);
        }
    }
    let rules = cover(&rows).into_iter().map(|(rows, columns)| {
        let users = rows.into_iter().map(|row| users[row].clone()).collect();
        let tools = columns.into_iter().map(|column| tools[column].clone()).collect();
        Allowed { users, tools, calls: 0 }
    });
    let mut rules = rules.collect::<Vec<_>>();
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.users.len() * rule.tools.len()));
    // Rules may overlap; a call counts for the first that allows it.
    for ((user, tool), calls) in used {
        if let Some(rule) = rules.iter_mut().find(|rule| rule.users.contains(user) && rule.tools.contains(tool)) {
            rule.calls += calls;
        }
    }
    rules
}

fn name(n: usize) -> String {
    format!("used-{}", n + 1)
}

/// Returns the rules as a part of a configuration file.
fn toml(rules: &[Allowed], calls: u64, denied: u64) -> String {
    let mut out = format!("# What {} used", output::unit(calls - denied, "call", "calls"));
    let left_out = if denied > 0 {
        format!("; {} left out: denied, or of an unknown tool", output::unit(denied, "call", "calls"))
    } else {
        String::new()
    };
    let _ = writeln!(out, "{left_out}.\n[gate]\ndefault = \"deny\"");
    for (n, rule) in rules.iter().enumerate() {
        let tools = output::unit(rule.tools.len() as u64, "tool", "tools");
        let users = output::unit(rule.users.len() as u64, "user", "users");
        let _ = writeln!(out, "\n# {} of {tools} by {users}", output::unit(rule.calls, "call", "calls"));
        for name in rule.users.iter().chain(&rule.tools).filter(|name| is_pattern(name)) {
            let _ = writeln!(out, "# {} has an asterisk, which also matches other names", output::escaped(name));
        }
        let _ = writeln!(out, "[[gate.rules]]\nname = \"{}\"\neffect = \"allow\"", name(n));
        let _ = writeln!(out, "users = {}\ntools = {}", list(&rule.users), list(&rule.tools));
    }
    out
}

/// Whether a name, taken as a pattern, matches more than itself.
fn is_pattern(name: &str) -> bool {
    name.contains('*') && glob_matches(name, &name.replace('*', "x"))
}

/// Returns names as a list in TOML.
fn list(names: &BTreeSet<String>) -> String {
    format!("[{}]", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "))
}

/// Returns a text as a basic string of TOML, in which characters that could deceive a reader are escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            _ if character.is_control() || output::is_hostile(character) => {
                let _ = write!(out, "\\U{:08X}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::file::ConfigFile;
    use tooltrail::GateRequest;

    #[test]
    fn the_rules_allow_what_was_used_and_nothing_else() {
        let pairs = [
            ("alice", "read"),
            ("alice", "mcp__g__x"),
            ("bob", "read"),
            ("it's \"b\"\n\u{1b}\u{202e}", "odd \\ 'tool'"),
        ];
        let used = pairs.map(|(user, tool)| ((user.to_owned(), tool.to_owned()), 2)).into_iter().collect();
        let text = toml(&rules(&used), 9, 1);
        assert!(text.starts_with("# What 8 calls used; 1 call left out: denied, or of an unknown tool.\n"), "{text}");
        let config = toml::from_str::<ConfigFile>(&text).unwrap();
        let gate = config.gate_of(None);
        let allows = |user: &str, tool: &str| {
            !gate.decide(GateRequest { user, tool, ..GateRequest::default() }).effect.refuses()
        };
        assert!(pairs.iter().all(|(user, tool)| allows(user, tool)), "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
        assert!(!allows("bob", "mcp__g__x") && !allows("carol", "read"), "{text}");
    }
}
