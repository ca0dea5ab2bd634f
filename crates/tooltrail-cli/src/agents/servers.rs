//! Puts `tooltrail mcp` in front of the MCP servers in an agent's settings, and takes it away.

use std::cell::RefCell;
use std::path::Path;

use jsonc_parser::cst::{CstNode, CstObject};
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
    /// The plugin that brings it.
    pub(crate) plugin: Option<String>,
    pub(crate) kind: Kind,
}

/// Which servers get a wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// Those that have one of ours, which may be an old one.
    Wrapped,
}

/// Whether a server can be put on the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is started by a command.
    Command,
    /// It is behind a `tooltrail mcp` that somebody else wrote.
    Behind,
    /// Its arguments are no list of texts, so they cannot be moved behind our command.
    OddArgs,
    /// It is reached over the network.
    Remote,
    /// A plugin brings it.
    OfPlugin,
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
pub(crate) fn wrap(text: &str, path: &Path, wrapper: &Wrapper, which: Which) -> Result<(String, Vec<Server>), String> {
    change(text, path, &|name, before| {
        let known = unwrapped(name, before);
        if known.is_none() && which == Which::Wrapped {
            return before.clone();
        }
        let original = known.unwrap_or_else(|| before.clone());
        // A name may begin like an option.
        let own = ["mcp".to_owned(), format!("{SERVER}{name}")];
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
    change(text, path, &|name, before| unwrapped(name, before).unwrap_or_else(|| before.clone())).map(|(text, _)| text)
}

/// Returns the names of the servers behind a wrapper of ours, each with the program that it runs.
///
/// # Errors
/// Why the text is not understood.
pub(crate) fn wrapped(text: &str, path: &Path) -> Result<Vec<(String, String)>, String> {
    let found = RefCell::new(Vec::new());
    change(text, path, &|name, before| {
        if unwrapped(name, before).is_some() {
            found.borrow_mut().push((name.to_owned(), before.command.clone()));
        }
        before.clone()
    })?;
    Ok(found.into_inner())
}

/// The option that names the server, and the others that an installer writes, in their order.
const SERVER: &str = "--server=";
const OPTIONS: [&str; 7] = ["--home", "--keys", "--config", "--user", "--to", "--token-file", "--state"];

/// Returns the command of a server behind our wrapper; `None` if there is none, or one with other options, which somebody
/// else wrote.
fn unwrapped(name: &str, command: &Command) -> Option<Command> {
    let [mcp, server, rest @ ..] = &*command.args else { return None };
    if mcp != "mcp" || server.strip_prefix(SERVER)? != name {
        return None;
    }
    let (mut rest, mut options) = (rest, OPTIONS.iter());
    loop {
        match rest {
            [separator, command, args @ ..] if separator == "--" => {
                return Some(Command { command: command.clone(), args: args.to_vec() });
            }
            [option, _, more @ ..] if options.any(|known| known == option) => rest = more,
            _ => return None,
        }
    }
}

/// Whether a command is a `tooltrail mcp` that somebody else wrote. It records the server's calls already.
fn is_behind(command: &Command) -> bool {
    let is_ours = Path::new(&command.command).file_name().is_some_and(|name| name == "tooltrail");
    is_ours && command.args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "mcp")
}

/// Returns the arguments if they are texts; none count as an empty list.
fn texts(list: &Value) -> Option<Vec<String>> {
    match list {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
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
        let args = member(&server, "args")?.map_or(Value::Null, |args| value(&args));
        let (kind, before) = kind(&name, &|member| text_in(&server, member), texts(&args));
        let after = to(&name, &before);
        let is_changed = kind == Kind::Command && after != before;
        if is_changed {
            set(&server, "command", &json!(after.command));
            set_args(&server, &before.args, &after.args);
        }
        servers.push((Server { name, project: project.map(str::to_owned), plugin: None, kind }, is_changed));
    }
    Ok(())
}

/// Sets the arguments. Those at the end that stay keep the comments around them.
fn set_args(object: &CstObject, before: &[String], after: &[String]) {
    let Some(args) = object.array_value("args") else { return set(object, "args", &json!(after)) };
    let same = same_at_end(before, after);
    args.elements().into_iter().take(before.len() - same).for_each(CstNode::remove);
    for (at, arg) in after[..after.len() - same].iter().enumerate() {
        args.insert(at, input(&json!(arg)));
    }
}

fn set(object: &CstObject, name: &str, value: &Value) {
    match object.get(name) {
        Some(member) => member.set_value(input(value)),
        None => drop(object.append(name, input(value))),
    }
}

/// Returns what kind of server has these members, and its command.
fn kind(name: &str, member: &dyn Fn(&str) -> Option<String>, args: Option<Vec<String>>) -> (Kind, Command) {
    let has_args = args.is_some();
    let command = Command { command: member("command").unwrap_or_default(), args: args.unwrap_or_default() };
    let is_remote_type = member("type").is_some_and(|kind| !matches!(&*kind, "stdio" | "local"));
    let kind = if is_remote_type || ["url", "httpUrl", "tcp"].iter().any(|name| member(name).is_some()) {
        Kind::Remote
    } else if member("command").is_none() {
        Kind::Unknown
    } else if !has_args {
        Kind::OddArgs
    } else if is_behind(&command) && unwrapped(name, &command).is_none() {
        Kind::Behind
    } else {
        Kind::Command
    };
    (kind, command)
}

/// The mark at the beginning of a file that some editors write.
const BYTE_ORDER_MARK: &str = "\u{feff}";

fn change_toml(text: &str, to: &dyn Fn(&str, &Command) -> Command) -> Result<(String, Vec<Server>), String> {
    let (mark, plain) = text.strip_prefix(BYTE_ORDER_MARK).map_or(("", text), |plain| (BYTE_ORDER_MARK, plain));
    let mut file = plain.parse::<DocumentMut>().map_err(|error| format!("it is no TOML: {}", error.message()))?;
    let mut servers = Vec::new();
    let Some(section) = file.get_mut("mcp_servers").and_then(Item::as_table_like_mut) else {
        return Ok((text.to_owned(), servers));
    };
    let mut is_changed = false;
    for (name, entry) in section.iter_mut() {
        let (name, Some(server)) = (name.get().to_owned(), entry.as_table_like_mut()) else { continue };
        let text_of = |member: &str| server.get(member).and_then(Item::as_str).map(str::to_owned);
        let args = match server.get("args") {
            None => Some(Vec::new()),
            Some(args) => {
                args.as_array().and_then(|args| args.iter().map(|arg| arg.as_str().map(str::to_owned)).collect())
            }
        };
        let (kind, before) = kind(&name, &text_of, args);
        let after = to(&name, &before);
        if kind == Kind::Command && after != before {
            set_toml(server, "command", after.command.into());
            set_toml_args(server, &before.args, &after.args);
            is_changed = true;
        }
        servers.push(Server { name, project: None, plugin: None, kind });
    }
    if !is_changed {
        return Ok((text.to_owned(), servers));
    }
    // The library writes lines of Unix.
    let changed = file.to_string();
    let changed = if text.contains("\r\n") { changed.replace("\r\n", "\n").replace('\n', "\r\n") } else { changed };
    Ok((format!("{mark}{changed}"), servers))
}

/// Sets the arguments. Those at the end that stay keep the comments around them.
fn set_toml_args(table: &mut dyn TableLike, before: &[String], after: &[String]) {
    let Some(args) = table.get_mut("args").and_then(Item::as_array_mut) else {
        table.insert("args", Item::Value(after.iter().map(String::as_str).collect::<Array>().into()));
        return;
    };
    let same = same_at_end(before, after);
    (same..before.len()).for_each(|_| drop(args.remove(0)));
    let new = after.len() - same;
    after[..new].iter().enumerate().for_each(|(at, arg)| args.insert(at, arg.as_str()));
    // The first of those that stay was the first of all, or is it now.
    if let Some(decor) = args.get_mut(new).map(toml_edit::Value::decor_mut) {
        let prefix = decor.prefix().and_then(toml_edit::RawString::as_str).unwrap_or("");
        match (prefix, new) {
            ("", 1..) => decor.set_prefix(" "),
            (" ", 0) => decor.set_prefix(""),
            _ => {}
        }
    }
}

/// Returns how many arguments at the end are the same.
fn same_at_end(before: &[String], after: &[String]) -> usize {
    before.iter().rev().zip(after.iter().rev()).take_while(|(one, other)| one == other).count()
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
        let (first, servers) = wrap(before, path, &wrapper, Which::All).unwrap();
        let found = servers.iter().map(|server| (&*server.name, server.kind)).collect::<Vec<_>>();
        assert_eq!(found, expected);
        assert!(first.contains(wrapped), "{first}");
        assert_eq!(wrap(&first, path, &wrapper, Which::All).unwrap().0, first, "wrapping twice changes nothing");
        assert_eq!(wrap(before, path, &wrapper, Which::Wrapped).unwrap().0, before);
        let moved = Wrapper { program: "/new/tt".to_owned(), ..wrapper };
        let moved = wrap(&first, path, &moved, Which::Wrapped).unwrap().0;
        assert_eq!(moved, first.replace("/b/tooltrail", "/new/tt"), "only the program changes");
        let commands = expected.iter().filter(|(_, kind)| *kind == Kind::Command);
        let programs = commands.map(|(name, _)| ((*name).to_owned(), "/new/tt".to_owned())).collect::<Vec<_>>();
        assert_eq!(super::wrapped(&moved, path).unwrap(), programs);
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
    "odd": { "disabled": true },
    "mine": { "command": "/x/tooltrail", "args": ["--home", "/h", "mcp", "--server", "prod", "--", "npx", "--", "y"] },
    "port": { "command": "npx", "args": ["-p", 8080] },
    "--": { "command": "dash", "args": ["--", "x"] }
  },
  "projects": { "/w": { "mcpServers": { "own": { "command": "own", "args": [] } } } }
}
"#,
            &[
                ("files", Kind::Command),
                ("far", Kind::Remote),
                ("near", Kind::Remote),
                ("odd", Kind::Unknown),
                ("mine", Kind::Behind),
                ("port", Kind::OddArgs),
                ("--", Kind::Command),
                ("own", Kind::Command),
            ],
            "// kept",
        );
        check(
            "config.toml",
            "model = \"x\" # mine\n\n[mcp_servers.files]\ncommand = \"npx\"   # the server\nargs = [\"-y\", \"server\"]\nenv = { A = \"1\" }\n\n[mcp_servers.far]\nurl = \"https://example.org\"\n",
            &[("files", Kind::Command), ("far", Kind::Remote)],
            "command = \"/b/tooltrail\"   # the server\nargs = [\"mcp\", \"--server=files\", \"--user\", \"al\", \"--\", \"npx\", \"-y\", \"server\"]",
        );
        check(
            "config.toml",
            "\u{feff}[mcp_servers.a]\r\ncommand = \"a\"\r\nargs = [\r\n  \"-y\", # yes\r\n  \"b\",\r\n]\r\n",
            &[("a", Kind::Command)],
            "\"-y\", # yes\r\n  \"b\",\r\n]\r\n",
        );
        check(
            "mcp.json",
            "{\"mcpServers\": {\"a\": {\"command\": \"a\", \"args\": [\n  \"-y\", // yes\n  \"b\"\n]}}}",
            &[("a", Kind::Command)],
            "\"-y\", // yes\n",
        );
        assert!(unwrap("{", Path::new("a.json")).is_err() && unwrap("a = = 1", Path::new("a.toml")).is_err());
    }
}
