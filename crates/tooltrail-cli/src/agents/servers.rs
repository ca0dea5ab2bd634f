//! Puts `tooltrail mcp` in front of the MCP servers in an agent's settings, and takes it away.

use std::path::Path;

use jsonc_parser::cst::CstObject;
use serde_json::{Value, json};
use toml_edit::{Array, DocumentMut, Item, TableLike};

use crate::agents::json::{JsonFile, input, member, object_in, text_in, value};

/// What stands in front of the command of a server.
#[derive(Clone, Debug)]
pub(crate) struct Wrapper {
    pub(crate) program: String,
    /// The arguments after `mcp` and the server's name.
    pub(crate) args: Vec<String>,
}

/// A server in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) name: String,
    /// The project that has it, if the file has servers of several.
    pub(crate) project: Option<String>,
    pub(crate) kind: Kind,
}

/// Whether a server can be put on the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is started by a command.
    Command,
    /// It is reached over the network.
    Remote,
    /// Its entry has no command and no address.
    Unknown,
}

/// A command and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Command {
    command: String,
    args: Vec<String>,
}

/// Returns the text with the wrapper in front of each server that is started by a command, and the servers.
///
/// # Errors
/// Why the text is not understood.
pub(crate) fn wrap(text: &str, path: &Path, wrapper: &Wrapper) -> Result<(String, Vec<Server>), String> {
    change(text, path, &|name, before| {
        let original = unwrapped(before).unwrap_or_else(|| before.clone());
        let own = ["mcp".to_owned(), "--server".to_owned(), name.to_owned()];
        let separator = ["--".to_owned(), original.command];
        let args = own.into_iter().chain(wrapper.args.iter().cloned()).chain(separator).chain(original.args);
        Command { command: wrapper.program.clone(), args: args.collect() }
    })
}

/// Returns the text without any wrapper of ours.
///
/// # Errors
/// Why the text is not understood.
pub(crate) fn unwrap(text: &str, path: &Path) -> Result<String, String> {
    change(text, path, &|_, before| unwrapped(before).unwrap_or_else(|| before.clone())).map(|(text, _)| text)
}

/// Returns the command of a server behind our wrapper; `None` if there is no wrapper.
fn unwrapped(command: &Command) -> Option<Command> {
    let name = Path::new(&command.command).file_name()?.to_str()?;
    let is_ours = name == "tooltrail" || name.starts_with("tooltrail-");
    if !is_ours || command.args.first()? != "mcp" {
        return None;
    }
    let separator = command.args.iter().position(|arg| arg == "--")?;
    let mut rest = command.args[separator + 1..].iter().cloned();
    Some(Command { command: rest.next()?, args: rest.collect() })
}

fn change(text: &str, path: &Path, to: &dyn Fn(&str, &Command) -> Command) -> Result<(String, Vec<Server>), String> {
    if path.extension().is_some_and(|extension| extension == "toml") {
        return change_toml(text, to);
    }
    let file = JsonFile::parse(text)?;
    let root = file.object();
    let mut servers = Vec::new();
    if let Some(section) = object_in(&root, "mcpServers")? {
        change_section(&section, None, to, &mut servers)?;
    }
    if let Some(projects) = object_in(&root, "projects")? {
        for project in projects.properties() {
            let (Some(name), Some(project)) = (project.decoded_name(), project.object_value()) else { continue };
            if let Some(section) = object_in(&project, "mcpServers")? {
                change_section(&section, Some(&name), to, &mut servers)?;
            }
        }
    }
    let is_changed = servers.iter().any(|(_, is_changed)| *is_changed);
    let text = if is_changed { file.text() } else { text.to_owned() };
    Ok((text, servers.into_iter().map(|(server, _)| server).collect()))
}

fn change_section(
    section: &CstObject,
    project: Option<&str>,
    to: &dyn Fn(&str, &Command) -> Command,
    servers: &mut Vec<(Server, bool)>,
) -> Result<(), String> {
    for entry in section.properties() {
        let (Some(name), Some(server)) = (entry.decoded_name(), entry.object_value()) else { continue };
        let kind = kind(&|member| value_of(&server, member));
        let mut is_changed = false;
        if kind == Kind::Command {
            let args = member(&server, "args")?.map_or(Value::Null, |args| value(&args));
            let before = Command { command: text_in(&server, "command").unwrap_or_default(), args: texts(&args) };
            let after = to(&name, &before);
            if after != before {
                set(&server, "command", &json!(after.command));
                set(&server, "args", &json!(after.args));
                is_changed = true;
            }
        }
        servers.push((Server { name, project: project.map(str::to_owned), kind }, is_changed));
    }
    Ok(())
}

fn set(object: &CstObject, name: &str, value: &Value) {
    match object.get(name) {
        Some(member) => member.set_value(input(value)),
        None => drop(object.append(name, input(value))),
    }
}

fn value_of(object: &CstObject, name: &str) -> Option<String> {
    text_in(object, name)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// Returns what kind of server has these members.
fn kind(member: &dyn Fn(&str) -> Option<String>) -> Kind {
    let is_remote_type = member("type").is_some_and(|kind| !matches!(&*kind, "stdio" | "local"));
    if is_remote_type || ["url", "httpUrl", "tcp"].iter().any(|name| member(name).is_some()) {
        Kind::Remote
    } else if member("command").is_some() {
        Kind::Command
    } else {
        Kind::Unknown
    }
}

fn change_toml(text: &str, to: &dyn Fn(&str, &Command) -> Command) -> Result<(String, Vec<Server>), String> {
    let mut file = text.parse::<DocumentMut>().map_err(|error| format!("it is no TOML: {}", error.message()))?;
    let mut servers = Vec::new();
    let Some(section) = file.get_mut("mcp_servers").and_then(Item::as_table_like_mut) else {
        return Ok((text.to_owned(), servers));
    };
    let mut is_changed = false;
    for (name, entry) in section.iter_mut() {
        let (name, Some(server)) = (name.get().to_owned(), entry.as_table_like_mut()) else { continue };
        let text_of = |member: &str| server.get(member).and_then(Item::as_str).map(str::to_owned);
        let kind = kind(&text_of);
        if kind == Kind::Command {
            let args = server.get("args").and_then(Item::as_array).into_iter().flatten();
            let args = args.filter_map(|arg| arg.as_str().map(str::to_owned)).collect();
            let before = Command { command: text_of("command").unwrap_or_default(), args };
            let after = to(&name, &before);
            if after != before {
                set_toml(server, "command", after.command.into());
                set_toml(server, "args", after.args.into_iter().collect::<Array>().into());
                is_changed = true;
            }
        }
        servers.push(Server { name, project: None, kind });
    }
    Ok((if is_changed { file.to_string() } else { text.to_owned() }, servers))
}

/// Sets a value and keeps the spaces and the comment around the old one.
fn set_toml(table: &mut dyn TableLike, name: &str, mut new: toml_edit::Value) {
    if let Some(old) = table.get(name).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(name, Item::Value(new));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wraps twice and unwraps: the text must become what it was.
    fn check(path: &str, before: &str, expected: &[(&str, Kind)], wrapped: &str) {
        let wrapper = Wrapper { program: "/b/tooltrail".to_owned(), args: vec!["--user".to_owned(), "al".to_owned()] };
        let path = Path::new(path);
        let (first, servers) = wrap(before, path, &wrapper).unwrap();
        let found = servers.iter().map(|server| (&*server.name, server.kind)).collect::<Vec<_>>();
        assert_eq!(found, expected);
        assert!(first.contains(wrapped), "{first}");
        assert_eq!(wrap(&first, path, &wrapper).unwrap().0, first, "wrapping twice changes nothing");
        let after = unwrap(&first, path).unwrap();
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(plain(&after), plain(before));
        assert_eq!(unwrap(before, path).unwrap(), before);
    }

    #[test]
    fn servers_are_wrapped_and_unwrapped() {
        check(
            "mcp.json",
            r#"{
  "other": 1, // kept
  "mcpServers": {
    "files": { "command": "npx", "args": ["-y", "server"], "env": { "A": "1" } },
    "far": { "type": "http", "url": "https://example.org" },
    "near": { "url": "http://127.0.0.1:1" },
    "odd": { "disabled": true }
  },
  "projects": { "/w": { "mcpServers": { "own": { "command": "own", "args": [] } } } }
}
"#,
            &[
                ("files", Kind::Command),
                ("far", Kind::Remote),
                ("near", Kind::Remote),
                ("odd", Kind::Unknown),
                ("own", Kind::Command),
            ],
            "// kept",
        );
        check(
            "config.toml",
            "model = \"x\" # mine\n\n[mcp_servers.files]\ncommand = \"npx\"   # the server\nargs = [\"-y\", \"server\"]\nenv = { A = \"1\" }\n\n[mcp_servers.far]\nurl = \"https://example.org\"\n",
            &[("files", Kind::Command), ("far", Kind::Remote)],
            "command = \"/b/tooltrail\"   # the server\nargs = [\"mcp\", \"--server\", \"files\", \"--user\", \"al\", \"--\", \"npx\", \"-y\", \"server\"]",
        );
        assert!(unwrap("{", Path::new("a.json")).is_err() && unwrap("a = = 1", Path::new("a.toml")).is_err());
    }
}
