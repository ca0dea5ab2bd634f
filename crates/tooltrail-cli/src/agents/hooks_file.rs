//! Puts our hooks into the text of an agent's settings, and takes them out.

use jsonc_parser::cst::{CstArray, CstContainerNode, CstNode, CstObject};
use serde_json::{Value, json};

use crate::agents::hooks::{Hook, Shape, ours};
use crate::agents::json::{JsonFile, input, member, object_in, text_in};
use crate::hook::{Client, HookArgs};

/// One of our hooks as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) event: String,
    pub(crate) command: String,
    /// The program that it runs, and its arguments.
    pub(crate) program: String,
    pub(crate) args: HookArgs,
    /// The number of the group, and of the hook in it, by which Codex knows what its user trusts.
    pub(crate) place: (usize, usize),
    /// Whether it holds for some tools only, or is no command at all.
    pub(crate) is_limited: bool,
}

/// A hook of ours in a file.
struct Found {
    installed: Installed,
    handler: CstObject,
}

/// Returns the text with exactly these hooks of ours. What is already as it should be stays untouched, byte for byte.
///
/// # Errors
/// Why the text is not understood.
pub(crate) fn install(text: &str, client: Client, hooks: &[Hook]) -> Result<String, String> {
    let file = JsonFile::parse(text)?;
    let root = file.object();
    let is_new = text.trim().is_empty();
    if is_new && matches!(client.shape(), Shape::Flat { .. }) {
        root.append("version", input(&json!(1)));
    }
    let found = find(&root, client)?;
    let known = object_in(&root, "hooks")?;
    let section = match known {
        Some(section) => section,
        None => root.object_value_or_set("hooks"),
    };
    for hook in hooks {
        let mut same = found.iter().filter(|found| found.installed.event == hook.event && !found.installed.is_limited);
        match same.next() {
            Some(first) => set(&first.handler, client, hook),
            None => {
                let list = list(&section, hook.event)?;
                list.append(input(&group(client, hook)));
            }
        }
        same.for_each(|found| remove(found, &|_| false));
    }
    // Hooks of ours for some tools only, and for events that are no longer needed.
    let is_needed = |found: &&Found| hooks.iter().any(|hook| hook.event == found.installed.event);
    let spare = found.iter().filter(|found| found.installed.is_limited || !is_needed(found));
    // The list of an event that is needed has another hook of ours now.
    spare.for_each(|found| remove(found, &|_| false));
    Ok(file.text())
}

/// Returns the text without our hooks, and without the lists that only they needed; `None` if nothing else is left.
/// `before` is the file before we came, where that is known: what it had stays, even if it is empty.
///
/// # Errors
/// Why the text is not understood.
pub(crate) fn uninstall(text: &str, client: Client, before: Option<&str>) -> Result<Option<String>, String> {
    let file = JsonFile::parse(text)?;
    let root = file.object();
    let before = before.and_then(|before| JsonFile::parse(before).ok()).map(|before| before.object());
    let had = before.as_ref().and_then(|before| object_in(before, "hooks").ok()?);
    let found = find(&root, client)?;
    if found.is_empty() {
        return Ok(Some(text.to_owned()));
    }
    let keeps = |event: &str| had.as_ref().is_some_and(|had| member(had, event).is_ok_and(|list| list.is_some()));
    found.iter().for_each(|found| remove(found, &keeps));
    let Some(section) = object_in(&root, "hooks")? else { return Ok(Some(file.text())) };
    if section.properties().is_empty() && had.is_none() {
        root.properties()
            .into_iter()
            .filter(|member| member.decoded_name().as_deref() == Some("hooks"))
            .for_each(jsonc_parser::cst::CstObjectProp::remove);
    }
    let is_empty = root.properties().iter().all(|member| member.decoded_name().as_deref() == Some("version"));
    Ok((!is_empty || before.is_some()).then(|| file.text()))
}

/// Returns our hooks in a text.
///
/// # Errors
/// Why the text is not understood.
pub(crate) fn installed(text: &str, client: Client) -> Result<Vec<Installed>, String> {
    let file = JsonFile::parse(text)?;
    Ok(find(&file.object(), client)?.into_iter().map(|found| found.installed).collect())
}

fn find(root: &CstObject, client: Client) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    let Some(section) = object_in(root, "hooks")? else { return Ok(found) };
    for property in section.properties() {
        let Some(event) = property.decoded_name() else { continue };
        let Some(list) = property.array_value() else { continue };
        for (number, element) in list.elements().into_iter().enumerate() {
            let Some(object) = element.as_object() else { continue };
            let matches_all = text_in(&object, "matcher").is_none_or(|matcher| ["", "*", ".*"].contains(&&*matcher));
            let handlers = match client.shape() {
                Shape::Flat { .. } => vec![object],
                Shape::Grouped => {
                    let inner = object.array_value("hooks").map(|hooks| hooks.elements()).unwrap_or_default();
                    inner.iter().filter_map(CstNode::as_object).collect()
                }
            };
            for (place, handler) in handlers.into_iter().enumerate() {
                let Some(command) = text_in(&handler, command_name(client)) else { continue };
                let Some((program, args)) = ours(&command) else { continue };
                if args.client == Some(client) {
                    let (place, event) = ((number, place), event.clone());
                    let is_limited = !matches_all || text_in(&handler, "type").is_some_and(|kind| kind != "command");
                    found.push(Found {
                        installed: Installed { event, command, program, args, place, is_limited },
                        handler,
                    });
                }
            }
        }
    }
    Ok(found)
}

/// Sets the command and the time limit of a hook, if they differ.
fn set(handler: &CstObject, client: Client, hook: &Hook) {
    let time_out = match client.shape() {
        Shape::Grouped => "timeout",
        Shape::Flat { time_out, .. } => time_out,
    };
    for (name, wanted) in [(command_name(client), json!(hook.command)), (time_out, json!(hook.time_out))] {
        match handler.get(name) {
            Some(member) if member.value().map(|value| crate::agents::json::value(&value)) == Some(wanted.clone()) => {}
            Some(member) => member.set_value(input(&wanted)),
            None => drop(handler.append(name, input(&wanted))),
        }
    }
}

fn group(client: Client, hook: &Hook) -> Value {
    match client.shape() {
        Shape::Grouped => {
            json!({ "hooks": [{ "type": "command", "command": hook.command, "timeout": hook.time_out }] })
        }
        Shape::Flat { command, time_out } => {
            json!({ "type": "command", command: hook.command, time_out: hook.time_out })
        }
    }
}

fn command_name(client: Client) -> &'static str {
    match client.shape() {
        Shape::Grouped => "command",
        Shape::Flat { command, .. } => command,
    }
}

/// Returns the list of an event's hooks.
fn list(section: &CstObject, event: &str) -> Result<CstArray, String> {
    match member(section, event)? {
        None => Ok(section.array_value_or_set(event)),
        Some(value) => value.as_array().ok_or_else(|| format!("its hooks of {event} are no list")),
    }
}

/// Removes a hook, and what is empty after that: its group, and the list of its event unless it `keeps` that.
fn remove(found: &Found, keeps: &dyn Fn(&str) -> bool) {
    let mut node = found.handler.clone();
    loop {
        let Some(CstContainerNode::Array(list)) = node.parent() else { return };
        node.remove();
        if !list.elements().is_empty() {
            return;
        }
        let Some(CstContainerNode::ObjectProp(member)) = list.parent() else { return };
        let Some(CstContainerNode::Object(object)) = member.parent() else { return };
        let is_group = member.decoded_name().as_deref() == Some("hooks");
        if !is_group || object.parent().is_none_or(|parent| !parent.is_array()) {
            if !keeps(&found.installed.event) {
                member.remove();
            }
            return;
        }
        node = object;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::HookArgs;
    use std::path::Path;

    fn hooks(client: Client, program: &str) -> Vec<Hook> {
        client.hooks(Path::new(program), &HookArgs::default())
    }

    /// Installs twice and uninstalls: all that is not ours must stay as it is, and be found in each text.
    fn check(client: Client, before: &str, keeps: &[&str]) {
        let first = install(before, client, &hooks(client, "/old/tooltrail")).unwrap();
        let again = install(&first, client, &hooks(client, "/old/tooltrail")).unwrap();
        assert_eq!(again, first, "installing twice changes nothing");
        let moved = install(&first, client, &hooks(client, "/new/tooltrail")).unwrap();
        assert_eq!(moved, first.replace("/old/", "/new/"), "only the program changes");
        let found = installed(&moved, client).unwrap();
        assert_eq!(found.len(), client.events().len());
        assert!(found.iter().all(|hook| hook.program == "/new/tooltrail"));
        let after = uninstall(&moved, client, None).unwrap().unwrap_or_default();
        for kept in keeps {
            assert!(moved.contains(kept) && after.contains(kept), "{kept} in {moved} and {after}");
        }
        assert!(installed(&after, client).unwrap().is_empty() && !after.contains("tooltrail"), "{after}");
    }

    #[test]
    fn only_our_hooks_are_put_in_and_taken_out() {
        for client in Client::ALL {
            check(client, "", &[]);
            check(client, "{}", &[]);
            check(client, "{\"model\": \"x\"}\n", &["\"model\": \"x\""]);
            check(client, "{\r\n\t\"model\": \"x\",\r\n\t\"hooks\": {}\r\n}", &["\r\n\t\"model\": \"x\""]);
        }
        let foreign = r#"{
  // Who reads this?
  "permissions": { "allow": [ "Bash" ] }, /* here */
  "hooks": {
    "PreToolUse": [
      { "matcher": "Bash", "hooks": [ { "type": "command", "command": "other   hook codex" } ] },
    ],
    "Later": [],
  },
  "z": 1e2
}
"#;
        let keeps =
            ["// Who reads this?", "[ \"Bash\" ] }, /* here */", "other   hook codex", "\"z\": 1e2", "\"Later\": []"];
        check(Client::ClaudeCode, foreign, &keeps);
        check(Client::Gemini, foreign, &keeps);
        // A foreign hook in the same group as ours stays.
        let ours = "/o/tooltrail hook codex 2>/dev/null || :";
        let mixed = format!(
            r#"{{"hooks":{{"Stop":[{{"hooks":[{{"type":"command","command":"{ours}"}},{{"type":"command","command":"x"}}]}}]}}}}"#
        );
        let after = uninstall(&mixed, Client::Codex, None).unwrap().unwrap();
        assert_eq!(after, r#"{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"x"}]}]}}"#);
        let alone = mixed.replace(r#",{"type":"command","command":"x"}"#, "");
        assert_eq!(uninstall(&alone, Client::Codex, None), Ok(None));
        // What was there before stays, even if it is empty.
        for (before, expected) in [
            ("{}", "{}"),
            (r#"{"hooks":{}}"#, r#"{"hooks":{}}"#),
            (r#"{"hooks":{"Stop":[]}}"#, r#"{"hooks":{"Stop":[]}}"#),
        ] {
            let after = uninstall(&alone, Client::Codex, Some(before)).unwrap().unwrap();
            assert_eq!(after.split_whitespace().collect::<String>(), expected);
        }
    }

    #[test]
    fn a_hook_of_ours_for_some_tools_only_is_no_hook_for_all() {
        let command = "/o/tooltrail hook claude-code --state /s 2>/dev/null || :";
        let limits = [
            format!(r#"{{"matcher":"Bash","hooks":[{{"type":"command","command":"{command}"}}]}}"#),
            format!(r#"{{"hooks":[{{"type":"prompt","command":"{command}"}}]}}"#),
        ];
        for limited in limits {
            let before = format!(r#"{{"hooks":{{"PreToolUse":[{limited}]}}}}"#);
            assert!(installed(&before, Client::ClaudeCode).unwrap()[0].is_limited);
            let after = install(&before, Client::ClaudeCode, &hooks(Client::ClaudeCode, "/o/tooltrail")).unwrap();
            let found = installed(&after, Client::ClaudeCode).unwrap();
            assert!(found.iter().all(|hook| !hook.is_limited) && !after.contains("Bash"), "{after}");
            assert_eq!(found.len(), Client::ClaudeCode.events().len());
        }
        let all = format!(
            r#"{{"hooks":{{"Stop":[{{"matcher":"*","hooks":[{{"type":"command","command":"{command}"}}]}}]}}}}"#
        );
        assert!(!installed(&all, Client::ClaudeCode).unwrap()[0].is_limited);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "[]",
            "{",
            "nonsense",
            "{'a':1}",
            r#"{"hooks":[]}"#,
            r#"{"hooks":{"PreToolUse":{}}}"#,
            r#"{"hooks":{},"hooks":{}}"#,
            r#"{"hooks":{"PreToolUse":[],"PreToolUse":[]}}"#,
        ] {
            assert!(install(text, Client::ClaudeCode, &hooks(Client::ClaudeCode, "/t/tooltrail")).is_err(), "{text}");
        }
    }
}
