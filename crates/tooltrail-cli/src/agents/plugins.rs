//! The MCP servers that plugins of an agent bring. They are named and left alone, because a plugin is replaced as a whole
//! when it is updated.

use std::path::Path;

use serde_json::Value;

use crate::agents::change::read;
use crate::agents::json::read_object;
use crate::agents::places::Places;
use crate::agents::servers::{Kind, Server};
use crate::hook::Client;

/// The most plugins that are looked at.
const PLUGINS_MAX: usize = 1_000;

/// Returns the servers of the plugins that are installed for this user and not turned off. What is not understood is left
/// out: the agent itself says so.
pub(super) fn plugin_servers(places: &Places, client: Client) -> Vec<Server> {
    let folder = places.folder(client);
    match client {
        Client::ClaudeCode => claude_code(folder),
        Client::Gemini => gemini(folder),
        Client::Codex | Client::Copilot | Client::Cursor => Vec::new(),
    }
}

/// Claude Code keeps a list of the plugins and where they are. Their servers are in `.mcp.json` or in the manifest.
fn claude_code(folder: &Path) -> Vec<Server> {
    let settings = json(&folder.join("settings.json"));
    let installed = json(&folder.join("plugins/installed_plugins.json"));
    let plugins = installed["plugins"].as_object().into_iter().flatten().take(PLUGINS_MAX);
    let is_on = |plugin: &str| settings["enabledPlugins"][plugin] != Value::Bool(false);
    let mut servers = Vec::new();
    for (plugin, installed) in plugins.filter(|(plugin, _)| is_on(plugin)) {
        // Older versions have one place and no list.
        let places = installed.as_array().map_or(std::slice::from_ref(installed), Vec::as_slice);
        for place in places.iter().filter_map(|place| place["installPath"].as_str()) {
            let own = json(&Path::new(place).join(".mcp.json"));
            let own = if own["mcpServers"].is_object() { own["mcpServers"].clone() } else { own };
            let manifest = json(&Path::new(place).join(".claude-plugin/plugin.json"));
            servers.extend(named(plugin, &own));
            servers.extend(named(plugin, &manifest["mcpServers"]));
        }
    }
    servers.sort_by(|one: &Server, other| (&one.plugin, &one.name).cmp(&(&other.plugin, &other.name)));
    servers.dedup();
    servers
}

/// Gemini CLI has a folder for each extension.
fn gemini(folder: &Path) -> Vec<Server> {
    let extensions = std::fs::read_dir(folder.join("extensions")).into_iter().flatten().flatten().take(PLUGINS_MAX);
    let mut extensions = extensions.map(|entry| entry.path()).collect::<Vec<_>>();
    extensions.sort();
    let servers = extensions.iter().flat_map(|extension| {
        let manifest = json(&extension.join("gemini-extension.json"));
        let name = extension.file_name().unwrap_or_default().to_string_lossy();
        named(&name, &manifest["mcpServers"])
    });
    servers.collect()
}

fn named(plugin: &str, servers: &Value) -> Vec<Server> {
    let servers = servers.as_object().into_iter().flatten().filter(|(_, server)| server.is_object());
    let server = |(name, _): (&String, &Value)| Server {
        name: name.clone(),
        project: None,
        plugin: Some(plugin.to_owned()),
        kind: Kind::OfPlugin,
    };
    servers.map(server).collect()
}

/// Reads a JSON file; null if it is not understood.
fn json(path: &Path) -> Value {
    let text = read(path).ok().flatten().unwrap_or_default();
    read_object(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_plugins_are_named() {
        let home = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = home.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let at = |name: &str| home.path().join(name).display().to_string();
        let list = serde_json::json!({ "version": 2, "plugins": {
            "db@m": [{ "scope": "user", "installPath": at("db") }],
            "old@m": { "installPath": at("old") },
            "off@m": [{ "installPath": at("db") }],
            "gone@m": [{ "installPath": at("gone") }],
        } });
        write(".claude/plugins/installed_plugins.json", &list.to_string());
        write(".claude/settings.json", "{\"enabledPlugins\":{\"off@m\":false,\"db@m\":true}}");
        write("db/.mcp.json", "{\"tables\":{\"command\":\"x\"},\"$comment\":\"y\"}");
        write("db/.claude-plugin/plugin.json", "{\"mcpServers\":{\"views\":{\"command\":\"x\"}}}");
        write("old/.mcp.json", "{\"mcpServers\":{\"a\":{\"url\":\"x\"}}}");
        write("old/.claude-plugin/plugin.json", "{\"mcpServers\":\"./other.json\"}");
        write(".gemini/extensions/weather/gemini-extension.json", "{\"mcpServers\":{\"api\":{\"command\":\"x\"}}}");
        write(".gemini/extensions/broken/gemini-extension.json", "{");
        let places = Places::new(|name| (name == "HOME").then(|| home.path().to_owned())).unwrap();
        let found = |client: Client| {
            let servers = plugin_servers(&places, client).into_iter();
            servers.map(|server| format!("{} {}", server.plugin.unwrap(), server.name)).collect::<Vec<_>>()
        };
        assert_eq!(found(Client::ClaudeCode), ["db@m tables", "db@m views", "old@m a"]);
        assert_eq!(found(Client::Gemini), ["weather api"]);
        assert!(found(Client::Codex).is_empty());
    }
}
