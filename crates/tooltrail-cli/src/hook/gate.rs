//! Whether the rules of the configuration refuse a call that a hook tells of.

use tooltrail::{Call, Effect, GateRequest};

use crate::hook::client::Client;
use crate::mcp::gate::{hook_name, hook_name_parts};
use crate::settings::file::ConfigFile;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) rule: Option<String>,
    /// What the model is told.
    pub(super) text: String,
}

/// Returns why a call is refused; `None` if it may be made. A rule may name the tool of an MCP server as the server
/// calls it, or as hooks do.
pub(super) fn refusal(client: Client, file: &ConfigFile, call: &Call) -> Option<Refusal> {
    let gate = file.gate_of(call.server.as_deref());
    let verdicts = names(client, call).into_iter().map(|name| {
        gate.decide(GateRequest { user: &call.user, role: None, tool: &call.tool, alias: name.as_deref() })
    });
    let verdicts = verdicts.collect::<Vec<_>>();
    // A rule that names the tool decides; only if no name has one does the default.
    let refused = verdicts.iter().find(|verdict| verdict.effect.refuses() && verdict.rule.is_some());
    let is_allowed = verdicts.iter().any(|verdict| verdict.effect == Effect::Allow);
    let verdict = refused.or_else(|| verdicts.first().filter(|_| !is_allowed))?;
    let tool = &call.tool;
    Some(match verdict.rule {
        Some(rule) => Refusal {
            rule: Some(rule.to_owned()),
            text: format!("Denied by the rule \"{rule}\" of tooltrail's gate: {tool} may not be called."),
        },
        None => Refusal { rule: None, text: format!("Denied by tooltrail's gate: no rule allows {tool}.") },
    })
}

/// Returns the other names by which a rule may name the tool of a call; at least one, which may be `None`.
fn names(client: Client, call: &Call) -> Vec<Option<String>> {
    let plain = plain_name(call);
    let mut names = vec![(plain != call.tool).then(|| plain.to_owned())];
    names.extend(call.server.as_deref().map(|server| Some(hook_name(server, plain))));
    if client == Client::Copilot && call.server.is_none() {
        // Its events do not tell where the server's name ends: `SERVER-TOOL`.
        for (at, _) in call.tool.match_indices(['-', '/']) {
            let (server, tool) = (&call.tool[..at], &call.tool[at + 1..]);
            if !server.is_empty() && !tool.is_empty() {
                names.extend([Some(tool.to_owned()), Some(hook_name(server, tool))]);
            }
        }
    }
    names
}

/// Returns the tool's name as its server calls it.
fn plain_name(call: &Call) -> &str {
    if let Some((_, tool)) = hook_name_parts(&call.tool) {
        return tool;
    }
    let Some(server) = &call.server else { return &call.tool };
    // Gemini writes `mcp_SERVER_TOOL`, and Copilot `SERVER-TOOL`.
    let rest = call.tool.strip_prefix("mcp_").unwrap_or(&call.tool).strip_prefix(&**server);
    rest.and_then(|rest| rest.strip_prefix(['_', '-', '/'])).unwrap_or(&call.tool)
}
