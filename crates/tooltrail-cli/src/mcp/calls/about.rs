//! What is known about the client, the server and the conversation.

use serde_json::{Map, Value};

use crate::mcp::read::Message;

/// The members of `_meta` with the client's and the server's name in 2026-07-28.
const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// The member of `_meta` with the protocol version, which every request has since 2026-07-28.
const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// What is known about a connection before its first message.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// The user whose agent makes the calls.
    pub(crate) user: String,
    /// The server's name, if the person who started the proxy chose one.
    pub(crate) server: Option<String>,
    /// The session, if the person who started the proxy chose one.
    pub(crate) session: Option<String>,
    /// The session that the environment tells, else one of the process. The client's own word wins, because an
    /// environment is inherited and does not change when a conversation begins anew.
    pub(crate) session_default: String,
}

/// `_meta` of a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Meta(Map<String, Value>);

impl Meta {
    /// Reads `_meta` from its JSON text; what is no object has no members.
    pub(super) fn parse(json: Option<&str>) -> Self {
        Self(json.filter(|json| !json.is_empty()).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default())
    }

    fn text(&self, key: &str) -> Option<String> {
        self.0.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Returns the session: of Codex, or of OpenCode.
    pub(super) fn session(&self) -> Option<String> {
        self.text("threadId").or_else(|| self.text("ai.opencode/sessionID"))
    }

    /// Returns the id that Claude Code made for the call.
    pub(super) fn call_id(&self) -> Option<String> {
        self.text("claudecode/toolUseId")
    }

    /// Returns the trace id and the span id of a W3C `traceparent`.
    pub(super) fn trace(&self) -> Option<(String, String)> {
        let parent = self.text("traceparent")?;
        let mut parts = parent.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_set = |text: &str| text.bytes().any(|byte| byte != b'0');
        // Version ff is not allowed; later versions may add parts. https://www.w3.org/TR/trace-context/#traceparent-header
        let is_valid =
            is_hex(version, 2) && version != "ff" && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
        let is_valid = is_valid && is_set(trace) && is_set(span) && (version != "00" || parts.next().is_none());
        is_valid.then(|| (trace.to_owned(), span.to_owned()))
    }

    /// Returns the client's name and version.
    pub(super) fn client(&self) -> Option<String> {
        name_and_version(self.0.get(CLIENT_INFO)?)
    }

    /// Returns the server's own name.
    pub(super) fn server(&self) -> Option<String> {
        name(self.0.get(SERVER_INFO)?)
    }
}

/// Whether a request is of protocol 2026-07-28 or later, which gives each request a version of its own.
pub(crate) fn is_stateless(message: &Message) -> bool {
    Meta::parse(message.params.meta.whole().as_deref()).0.contains_key(PROTOCOL_VERSION)
}

/// Returns `name/version` of a `clientInfo`, or the name alone.
pub(super) fn name_and_version(info: &Value) -> Option<String> {
    let name = name(info)?;
    let version = info["version"].as_str().filter(|version| !version.is_empty());
    Some(version.map_or_else(|| name.clone(), |version| format!("{name}/{version}")))
}

/// Returns the name of a `clientInfo` or `serverInfo`.
pub(super) fn name(info: &Value) -> Option<String> {
    info["name"].as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_tell_is_found() {
        let meta = Meta::parse(Some(
            r#"{"threadId":"t1","ai.opencode/sessionID":"o1","claudecode/toolUseId":"toolu_1",
                "io.modelcontextprotocol/clientInfo":{"name":"c","version":"2"},
                "io.modelcontextprotocol/serverInfo":{"name":"s"},
                "traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#,
        ));
        assert_eq!((meta.session().as_deref(), meta.call_id().as_deref()), (Some("t1"), Some("toolu_1")));
        assert_eq!((meta.client().as_deref(), meta.server().as_deref()), (Some("c/2"), Some("s")));
        assert_eq!(meta.trace().unwrap().1, "b7ad6b7169203331");
        let empty = Meta::parse(Some("[1]"));
        assert_eq!((empty.session(), empty.client(), empty.trace()), (None, None, None));
    }

    #[test]
    fn a_malformed_traceparent_is_left_out() {
        let check = |parent: &str, expected: bool| {
            let meta = Meta::parse(Some(&format!("{{\"traceparent\":\"{parent}\"}}")));
            assert_eq!(meta.trace().is_some(), expected, "{parent}");
        };
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true);
        check("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true);
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false);
        check("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false);
        check("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false);
        check("00-00000000000000000000000000000000-b7ad6b7169203331-01", false);
        check("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false);
        check("nonsense", false);
    }
}
