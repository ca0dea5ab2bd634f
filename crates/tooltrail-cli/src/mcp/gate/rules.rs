//! Decides whether the messages of one line may go on to the server.

use std::sync::Arc;

use tooltrail::{Effect, Gate, GateRequest, Rule};

use crate::mcp::calls::Calls;
use crate::mcp::read::{LineEnd, Message};
use crate::mcp::tools::PinnedTools;

/// How the hooks of coding agents begin the names of tools of MCP servers.
const HOOK_PREFIX: &str = "mcp__";

/// The rules of one proxy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    gate: Gate,
    /// Why the configuration could not be read; then every call is refused.
    broken: Option<String>,
    /// Whether a rule names tools of a named server and only the server tells its name.
    need_name: bool,
    /// Only tools whose definitions are approved may be listed and called.
    pins: Option<Arc<PinnedTools>>,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The name of the rule, if one decided.
    pub(crate) rule: Option<String>,
    /// The tool that may not be called, if it is known.
    pub(crate) tool: Option<String>,
    /// What the caller is told.
    pub(crate) text: String,
}

impl Refusal {
    /// Returns a refusal that no rule decided.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { rule: None, tool: None, text: text.into() }
    }

    /// Returns what the caller of one call of the refused line is told.
    pub(crate) fn text_for(&self, tool: Option<&str>) -> String {
        match (&self.tool, tool) {
            (Some(refused), Some(tool)) if refused != tool => {
                format!("Not called with the rest of its batch. {}", self.text)
            }
            _ => self.text.clone(),
        }
    }
}

/// What happens to a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Pass,
    /// A call in it is refused, and so are all requests of the line.
    Refuse(Refusal),
    /// It is not JSON, or readers disagree about where it ends, and a lenient server could find a call in it.
    Unreadable(&'static str),
}

impl Rules {
    /// Returns rules with this gate. Unless the server's name was chosen, rules that refuse a tool of a named server hold
    /// for any server: nobody but the server itself would say whether it is the one.
    pub(crate) fn new(mut gate: Gate, server_is_chosen: bool) -> Self {
        if !server_is_chosen {
            for rule in gate.rules.iter_mut().filter(|rule| rule.effect.refuses()) {
                let of_any = rule.tools.iter().filter_map(|pattern| tool_of(pattern)).collect::<Vec<_>>();
                rule.tools.extend(of_any);
            }
        }
        let names_server = |rule: &Rule| rule.tools.iter().any(|pattern| pattern.starts_with(HOOK_PREFIX));
        let need_name = !server_is_chosen && gate.rules.iter().any(names_server);
        Self { gate, broken: None, need_name, pins: None }
    }

    /// Returns the same rules for a server whose tools must be approved.
    pub(crate) fn with_pins(self, pins: PinnedTools) -> Self {
        Self { pins: Some(Arc::new(pins)), ..self }
    }

    /// Returns the tools that must be approved, if the server is pinned.
    pub(crate) fn pins(&self) -> Option<&PinnedTools> {
        self.pins.as_deref()
    }

    /// Returns rules that refuse every call, because the configuration could not be read.
    pub(crate) fn broken(why: String) -> Self {
        Self { gate: Gate::default(), broken: Some(why), need_name: false, pins: None }
    }

    /// Whether a call can be refused at all.
    pub(crate) fn can_refuse(&self) -> bool {
        self.broken.is_some()
            || self.pins.is_some()
            || self.gate.default.refuses()
            || self.gate.rules.iter().any(|rule| rule.effect.refuses())
    }

    /// Whether the configuration could not be read.
    pub(crate) fn are_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether answers must be looked at before they are passed on, so that the server's name is known when the client's
    /// next message comes.
    pub(crate) fn need_name(&self) -> bool {
        self.need_name
    }

    /// Whether a tool can be hidden.
    pub(crate) fn can_hide(&self) -> bool {
        self.pins.is_some()
            || self.gate.default == Effect::Hide
            || self.gate.rules.iter().any(|rule| rule.effect == Effect::Hide)
    }

    /// Decides about a line that was read to its end.
    pub(crate) fn line(&self, bytes: &[u8], end: LineEnd, messages: &[Message], calls: &Calls) -> Verdict {
        if end.is_blank {
            return Verdict::Pass;
        }
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let may_call = may_call(text);
        if may_call && memchr::memchr(b'\r', text).is_some() {
            return Verdict::Unreadable(
                "it has a carriage return inside, which some servers take for the end of a line",
            );
        }
        // Some servers read a message that is spread over lines, or one in another encoding. The method's name can then
        // come only in a line that is no message by itself.
        if may_call && std::str::from_utf8(text).is_err() {
            return Verdict::Unreadable("it is not UTF-8");
        }
        if may_call && !(end.is_valid && end.is_structure) {
            return Verdict::Unreadable("it is no JSON message");
        }
        messages.iter().find_map(|message| self.message(message, calls)).map_or(Verdict::Pass, Verdict::Refuse)
    }

    /// Returns why a message is refused; `None` if it may go on. It may be a part of a message that is still read.
    pub(crate) fn message(&self, message: &Message, calls: &Calls) -> Option<Refusal> {
        // Readers that take a zero character for the end of a text would read another method.
        let has_zero = message.method.as_ref().is_some_and(|method| method.contains('\0'));
        if message.ambiguous_method || has_zero {
            return Some(ambiguous());
        }
        if message.method.as_deref() != Some("tools/call") {
            return None;
        }
        if let Some(why) = &self.broken {
            return Some(Refusal::new(format!("Denied: tooltrail cannot read its rules. {why}")));
        }
        if message.ambiguous_tool {
            return Some(ambiguous());
        }
        let Some(tool) = message.params.name.as_deref() else {
            return Some(Refusal::new("Denied: the call names no tool."));
        };
        self.tool(tool, calls)
    }

    /// Returns why calls of a tool are refused; `None` if they may go on.
    fn tool(&self, tool: &str, calls: &Calls) -> Option<Refusal> {
        let verdict = self.decide(tool, calls);
        if let Some(pins) = self.pins.as_ref().filter(|pins| !verdict.effect.refuses() && !pins.allows(tool)) {
            let text = format!("Denied: the definition of {tool} is not approved. {}", pins.how_to_approve(tool));
            return Some(Refusal { rule: Some("pin".to_owned()), tool: Some(tool.to_owned()), text });
        }
        verdict.effect.refuses().then(|| {
            let text = match verdict.rule {
                Some(rule) => format!("Denied by the rule \"{rule}\" of tooltrail's gate: {tool} may not be called."),
                None => format!("Denied by tooltrail's gate: no rule allows {tool}."),
            };
            Refusal { rule: verdict.rule.map(str::to_owned), tool: Some(tool.to_owned()), text }
        })
    }

    /// Whether a tool is left out of lists of tools.
    pub(crate) fn hides(&self, tool: &str, calls: &Calls) -> bool {
        self.pins.as_ref().is_some_and(|pins| !pins.allows(tool)) || self.decide(tool, calls).effect == Effect::Hide
    }

    fn decide(&self, tool: &str, calls: &Calls) -> tooltrail::Verdict<'_> {
        let alias = calls.server_name().map(|server| hook_name(server, tool));
        let asked = GateRequest { user: calls.user(), role: None, tool, alias: alias.as_deref() };
        self.gate.decide(asked)
    }
}

/// Whether the name of the method `tools/call` may stand in a text: as it is, with escapes, or in an encoding with zero
/// bytes between the letters.
fn may_call(text: &[u8]) -> bool {
    let finds =
        |text: &[u8]| memchr::memmem::find(text, b"call").is_some() || memchr::memmem::find(text, b"\\u").is_some();
    match memchr::memchr(0, text) {
        None => finds(text),
        Some(_) => finds(&text.iter().copied().filter(|byte| *byte != 0).collect::<Vec<_>>()),
    }
}

fn ambiguous() -> Refusal {
    let text = "Denied: servers could understand this message differently than tooltrail's gate, because a member comes \
                twice or is written with capital letters.";
    Refusal::new(text)
}

/// Returns the pattern for the tool in a pattern for `mcp__SERVER__TOOL`.
fn tool_of(pattern: &str) -> Option<String> {
    let rest = pattern.strip_prefix(HOOK_PREFIX)?;
    let tool = rest.split_once("__").map_or(if rest.contains('*') { "*" } else { "" }, |(_, tool)| tool);
    (!tool.is_empty()).then(|| tool.to_owned())
}

/// Returns the name under which the hooks of coding agents call a server's tool.
pub(crate) fn hook_name(server: &str, tool: &str) -> String {
    format!("{HOOK_PREFIX}{}__{tool}", slug(server))
}

/// Returns a server's name as it stands in the names of its tools: coding agents replace characters that are no letters,
/// digits, `_` or `-`.
pub(crate) fn slug(server: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    server.chars().map(plain).collect()
}

/// Returns the server and the tool in a name that hooks use.
pub(crate) fn hook_name_parts(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(HOOK_PREFIX)?.split_once("__").filter(|(server, tool)| !server.is_empty() && !tool.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::calls::About;
    use crate::mcp::read::Scanner;

    fn rule(name: &str, effect: Effect, tool: &str) -> Rule {
        Rule { effect, tools: vec![tool.to_owned()], ..Rule::deny(name) }
    }

    fn verdict(rules: &Rules, line: &str) -> Verdict {
        let calls =
            Calls::new(About { user: "alice".to_owned(), server: Some("my hub".to_owned()), ..About::default() });
        let mut messages = Vec::new();
        let (_, end) = Scanner::new().feed(line.as_bytes(), &mut messages);
        rules.line(line.as_bytes(), end.unwrap(), &messages, &calls)
    }

    #[test]
    fn a_line_is_refused_for_a_call_in_it() {
        let gate = Gate {
            rules: vec![rule("no-shell", Effect::Deny, "shell*"), rule("hooked", Effect::Hide, "mcp__my_hub__drop")],
            default: Effect::Allow,
        };
        let rules = Rules::new(gate, true);
        assert!(rules.can_refuse() && rules.can_hide());
        let check = |line: &str, expected: &str| {
            let found = match verdict(&rules, &format!("{line}\n")) {
                Verdict::Pass => "pass".to_owned(),
                Verdict::Refuse(refusal) => refusal.rule.unwrap_or_else(|| "none".to_owned()),
                Verdict::Unreadable(_) => "unreadable".to_owned(),
            };
            assert_eq!(found, expected, "{line}");
        };
        let call = |name: &str| format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"{name}"}}}}"#);
        check(&call("echo"), "pass");
        check(&call("shell.run"), "no-shell");
        check(&call("sh\\u0065ll"), "no-shell");
        check(&call("drop"), "hooked");
        check(r#"{"id":1,"method":"tools\/call","params":{"name":"shell"}}"#, "no-shell");
        check(r#"{"params":{"name":"shell"},"method":"tools/call","id":1}"#, "no-shell");
        check(&format!("[{},{}]", call("echo"), call("shell")), "no-shell");
        check(r#"{"id":1,"method":"tools/call","params":{}}"#, "none");
        check(r#"{"id":1,"method":"tools/call","params":{"name":"echo","name":"shell"}}"#, "none");
        check(r#"{"id":1,"method":"tools/call","params":{"name":"echo","Name":"shell"}}"#, "none");
        check(r#"{"id":1,"method":"ping","METHOD":"tools/call","params":{"name":"shell"}}"#, "none");
        check(r#"{"id":1,"Method":"tools/call","params":{"name":"shell"}}"#, "none");
        check(r#"{"id":1,"METHOD":"tools/call","Params":{"Name":"shell"}}"#, "none");
        check(
            "{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\"},\"param\u{17f}\":{\"name\":\"shell\"}}",
            "none",
        );
        check(r#"{"id":1,"method":"tools/call","params":{"name":"echo"},"param\u017f":{"name":"shell"}}"#, "none");
        // A message that is spread over lines, or in another encoding.
        check(r#"{"jsonrpc":"2.0","id":1,"method""#, "pass");
        check(r#""tools/call""#, "unreadable");
        check(r#","params":{"name""#, "pass");
        check(&call("shell").chars().flat_map(|c| ['\0', c]).collect::<String>(), "unreadable");
        check(r#"{"id":1,"method":"tools/call\u0000","params":{"name":"shell"}}"#, "none");
        check(r#"{"id":1,"id":2,"method":"acme/x","params":{"Name":"n","name":"a"}}"#, "pass");
        check(r#"{"id":1,"result":{},"ID":1,"Params":{}}"#, "pass");
        check(r#"{"id":1,"method":"tools/list"}"#, "pass");
        check(r#"{"id":1,"result":{"content":[]}}"#, "pass");
        check("not json", "pass");
        check("", "pass");
        check(&format!("{} garbage", call("shell")), "unreadable");
        check(&format!("{{\"a\":\"\r{}", call("shell")), "unreadable");
        check(&format!("{}\r", call("echo")), "pass");
    }

    #[test]
    fn a_rule_for_a_named_server_holds_for_one_whose_name_nobody_chose() {
        let refuses = |pattern: &str, server: Option<&str>| {
            let gate = Gate { rules: vec![rule("r", Effect::Deny, pattern)], default: Effect::Allow };
            let rules = Rules::new(gate, server.is_some());
            let about = About { server: server.map(str::to_owned), ..About::default() };
            rules.tool("delete_repo", &Calls::new(about)).is_some()
        };
        assert!(refuses("mcp__github__delete_repo", None) && refuses("mcp__*__delete_*", None));
        assert!(refuses("mcp__github__*", None) && refuses("mcp__*", None));
        assert!(!refuses("mcp__github__create_*", None) && !refuses("mcp__github", None));
        assert!(refuses("mcp__github__delete_repo", Some("github")));
        assert!(!refuses("mcp__github__delete_repo", Some("gitlab")));
    }

    #[test]
    fn rules_that_cannot_be_read_refuse_every_call() {
        let rules = Rules::broken("tooltrail.toml, line 3: invalid".to_owned());
        let found = verdict(&rules, "{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\"}}\n");
        assert!(matches!(found, Verdict::Refuse(refusal) if refusal.text.contains("tooltrail.toml, line 3")));
        assert_eq!(verdict(&rules, "{\"id\":1,\"method\":\"tools/list\"}\n"), Verdict::Pass);
    }
}
