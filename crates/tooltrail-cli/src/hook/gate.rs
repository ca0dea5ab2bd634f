//! Whether the rules of a configuration refuse a call that a coding agent makes.
//!
//! A rule may name the tool of an MCP server as the server calls it (`merge`), or as hooks of Claude Code do
//! (`mcp__github__merge`). Agents give such a tool names of their own, in which it is not always clear where the server's
//! name ends. Then each reading of the name counts: a rule that refuses one of them refuses the call.

use std::collections::BTreeMap;

use tooltrail::{Call, Gate, GateRequest};

use crate::hook::client::Client;
use crate::mcp::gate::{hook_name, hook_name_parts, slug};
use crate::settings::file::ConfigFile;

/// The most readings of one name, so that the work for a name that consists of separators is bounded. Agents limit names
/// to about 64 characters.
const READINGS_MAX: usize = 64;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) rule: Option<String>,
    /// What the model is told.
    pub(super) text: String,
}

/// The rules of a configuration, by server.
#[derive(Debug)]
pub(crate) struct Gates<'a> {
    file: &'a ConfigFile,
    gates: BTreeMap<Option<String>, Gate>,
}

/// A name by which rules may know the tool of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolName {
    /// The server whose rules count, beside those for all; `None` for the rules for all alone.
    server: Option<String>,
    tool: String,
    alias: Option<String>,
    /// Whether the default counts if no rule matches.
    has_default: bool,
}

/// Returns why a call is refused; `None` if it may be made.
pub(super) fn refusal(client: Client, file: &ConfigFile, call: &Call) -> Option<Refusal> {
    let mut gates = Gates::new(file);
    let names = gates.names(Some(client), call.server.as_deref(), &call.tool);
    let rule = gates.refusal(&call.user, &names)?;
    let tool = &call.tool;
    let text = match &rule {
        Some(rule) => format!("Denied by the rule \"{rule}\" of tooltrail's gate: {tool} may not be called."),
        None => format!("Denied by tooltrail's gate: no rule allows {tool}."),
    };
    Some(Refusal { rule, text })
}

impl<'a> Gates<'a> {
    pub(crate) fn new(file: &'a ConfigFile) -> Self {
        Self { file, gates: BTreeMap::new() }
    }

    /// Returns the names by which rules may know a tool. `server` is its MCP server if that is known, and `client` the
    /// coding agent that calls it so, if one does.
    pub(crate) fn names(&self, client: Option<Client>, server: Option<&str>, tool: &str) -> Vec<ToolName> {
        let readings = readings(client, tool);
        // A server that is only the first reading of the tool's name is not known for sure.
        let server = server.filter(|server| hook_name_parts(tool).is_none_or(|(first, _)| first != *server));
        let plain = server.map(|server| (server, plain(server, &readings).unwrap_or(tool)));
        let mut names = Vec::new();
        for (own, tool_of) in self.of_servers(client, plain, tool) {
            let (server, alias) = (Some(own.to_owned()), Some(hook_name(own, tool_of)));
            let has_default = !is_cursor(client, tool);
            names.push(ToolName { server: server.clone(), tool: tool_of.to_owned(), alias, has_default });
            names.push(ToolName { server, tool: tool.to_owned(), alias: None, has_default });
        }
        let has_default = names.iter().all(|name| !name.has_default);
        names.push(ToolName { server: None, tool: tool.to_owned(), alias: None, has_default });
        let shared = plain.map_or(readings, |plain| vec![plain]);
        names.extend(shared.into_iter().map(|(server, plain)| {
            let alias = (!server.is_empty()).then(|| hook_name(server, plain));
            ToolName { server: None, tool: plain.to_owned(), alias, has_default }
        }));
        names
    }

    /// Returns the servers of the configuration to which a tool may belong, and its name there.
    fn of_servers<'t>(
        &self,
        client: Option<Client>,
        plain: Option<(&str, &'t str)>,
        tool: &'t str,
    ) -> Vec<(&'a str, &'t str)> {
        let own = self.file.mcp.keys().map(String::as_str);
        if let Some((server, plain)) = plain {
            let is_same = |own: &&str| *own == server || slug(own) == slug(server);
            return own.filter(is_same).map(|own| (own, plain)).collect();
        }
        let forms = forms(client, tool);
        own.flat_map(|own| {
            let after = |name: &str, (rest, separator): &(&'t str, &str)| {
                let tool = rest.strip_prefix(name)?.strip_prefix(separator)?;
                (!tool.is_empty()).then_some((own, tool))
            };
            let (slug, cursor) = (slug(own), tool.strip_prefix(CURSOR_PREFIX).filter(|_| is_cursor(client, tool)));
            let found = forms.iter().flat_map(|form| [after(&slug, form), after(own, form)]);
            found.flatten().chain(cursor.map(|tool| (own, tool))).collect::<Vec<_>>()
        })
        .collect()
    }

    /// Returns the rule that refuses a call; the inner `None` if it is the default. The outer one means that the call may
    /// be made.
    pub(crate) fn refusal(&mut self, user: &str, names: &[ToolName]) -> Option<Option<String>> {
        let (mut is_allowed, mut is_refused) = (false, false);
        for name in names {
            let verdict = self.gate(name).decide(name.request(user));
            match (verdict.effect.refuses(), verdict.rule) {
                (true, Some(rule)) => return Some(Some(rule.to_owned())),
                (false, Some(_)) => is_allowed = true,
                (refuses, None) => is_refused |= refuses && name.has_default,
            }
        }
        // A rule that allows one of the names decides before the default.
        (is_refused && !is_allowed).then_some(None)
    }

    /// Returns the names of the rules that match, whether they decide or not.
    pub(crate) fn matching(&mut self, user: &str, names: &[ToolName]) -> Vec<String> {
        let matching = names.iter().flat_map(|name| {
            let rules = self.gate(name).rules.iter().filter(|rule| rule.matches(name.request(user)));
            rules.map(|rule| rule.name.clone()).collect::<Vec<_>>()
        });
        matching.collect()
    }

    fn gate(&mut self, name: &ToolName) -> &Gate {
        let file = self.file;
        self.gates.entry(name.server.clone()).or_insert_with_key(|server| file.gate_of(server.as_deref()))
    }
}

impl ToolName {
    /// Returns the question to a gate. Hooks and the trail do not tell roles.
    fn request<'a>(&'a self, user: &'a str) -> GateRequest<'a> {
        GateRequest { user, role: None, tool: &self.tool, alias: self.alias.as_deref() }
    }
}

/// How Cursor's names of the tools of MCP servers begin. They do not tell the server.
const CURSOR_PREFIX: &str = "MCP:";

fn is_cursor(client: Option<Client>, tool: &str) -> bool {
    client == Some(Client::Cursor) && tool.starts_with(CURSOR_PREFIX)
}

/// Returns what is left of a tool's name without the prefix for MCP, and what separates the server from the tool there.
fn forms(client: Option<Client>, tool: &str) -> Vec<(&str, &'static str)> {
    let mut forms = Vec::new();
    forms.extend(tool.strip_prefix("mcp__").map(|rest| (rest, "__")));
    match client {
        Some(Client::Gemini) => forms.extend(tool.strip_prefix("mcp_").map(|rest| (rest, "_"))),
        Some(Client::Copilot) => forms.extend([(tool, "-"), (tool, "/")]),
        _ => {}
    }
    forms
}

/// Returns the pairs of server and tool that a name can mean.
fn readings(client: Option<Client>, tool: &str) -> Vec<(&str, &str)> {
    let mut readings = Vec::new();
    for (rest, separator) in forms(client, tool) {
        let at = (1..rest.len()).filter(|at| rest.is_char_boundary(*at));
        let parts = at.filter_map(|at| Some((&rest[..at], rest[at..].strip_prefix(separator)?)));
        readings.extend(parts.filter(|(_, tool)| !tool.is_empty()).take(READINGS_MAX));
    }
    readings.extend(tool.strip_prefix(CURSOR_PREFIX).filter(|_| is_cursor(client, tool)).map(|tool| ("", tool)));
    readings
}

/// Returns a tool's name as this server calls it.
fn plain<'t>(server: &str, readings: &[(&str, &'t str)]) -> Option<&'t str> {
    let is_same = |(other, _): &&(&str, &str)| *other == server || *other == slug(server);
    readings.iter().find(is_same).map(|(_, tool)| *tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [gate]
        rules = [{ name = "shared", effect = "deny", tools = ["delete_*", "Bash", "mcp__gh__merge"] }]
        [mcp.a__b]
        rules = [{ name = "double", effect = "deny", tools = ["c"] }]
        [mcp."my srv"]
        rules = [{ name = "space", effect = "deny", tools = ["c2"] }]
        [mcp.srv]
        default = "deny"
        rules = [{ name = "own", effect = "deny", tools = ["c3"] }, { name = "open", effect = "allow", tools = ["ok"] }]
    "#;

    /// Checks what refuses a call: the name of a rule, `default`, or nothing.
    fn check(client: Client, server: Option<&str>, tool: &str, expected: &str) {
        let file = toml::from_str::<ConfigFile>(RULES).unwrap();
        let mut call = Call::new("alice", tool, "{}");
        call.server = server.map(str::to_owned);
        let refused = refusal(client, &file, &call).map(|refusal| refusal.rule.unwrap_or("default".to_owned()));
        assert_eq!(refused.unwrap_or_default(), expected, "{client:?} {server:?} {tool}");
    }

    #[test]
    fn each_reading_of_a_name_counts() {
        use Client::{ClaudeCode, Codex, Copilot, Cursor, Gemini};
        check(ClaudeCode, None, "Bash", "shared");
        check(ClaudeCode, None, "Read", "");
        check(ClaudeCode, None, "delete_x", "shared");
        check(ClaudeCode, Some("gh"), "mcp__gh__delete_x", "shared");
        check(Codex, None, "mcp__gh__merge", "shared");
        // A server whose name has the separator, told or not.
        check(ClaudeCode, Some("a__b"), "mcp__a__b__c", "double");
        check(ClaudeCode, None, "mcp__a__b__c", "double");
        check(Codex, Some("a"), "mcp__a__b__c", "double");
        check(ClaudeCode, None, "mcp__a__b__d", "");
        // A server whose name is written otherwise in the tool's name.
        check(ClaudeCode, Some("my srv"), "mcp__my_srv__c2", "space");
        check(Codex, None, "mcp__my_srv__c2", "space");
        check(Gemini, None, "mcp_my_srv_c2", "space");
        // The default of a server.
        check(ClaudeCode, None, "mcp__srv__c3", "own");
        check(ClaudeCode, None, "mcp__srv__ok", "");
        check(ClaudeCode, None, "mcp__srv__x", "default");
        check(Gemini, None, "mcp_srv_c3", "own");
        check(Gemini, Some("srv"), "mcp_srv_ok", "");
        check(Gemini, None, "mcp_gh_merge", "shared");
        check(Copilot, None, "srv-c3", "own");
        check(Copilot, None, "srv-x", "default");
        check(Copilot, None, "gh-merge", "shared");
        check(Copilot, None, "a__b-c", "double");
        // Cursor does not tell the server, so the rules of each count, but no default.
        check(Cursor, None, "MCP:delete_x", "shared");
        check(Cursor, None, "MCP:c3", "own");
        check(Cursor, None, "MCP:x", "");
        check(Cursor, Some("gh"), "c3", "");
        check(Copilot, None, &"-".repeat(100_000), "");
    }
}
