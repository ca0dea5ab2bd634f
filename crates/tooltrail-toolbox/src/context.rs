//! Who calls: what a dispatch knows besides the tool and its arguments.

use tooltrail::{Call, Identity, UNKNOWN_USER, Via};

use tooltrail::GateRequest;

/// Who calls a tool and in which conversation; what is unknown stays `None` and out of the entry.
///
/// ```
/// use tooltrail_toolbox::Context;
///
/// let mut ctx = Context::new("alice");
/// ctx.session = Some("s-1".to_owned());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// Whose agent calls; empty counts as `unknown`.
    pub user: String,
    /// The user's role: it decides which tools are seen, and gate rules may ask for it. It is not stored.
    pub role: Option<String>,
    /// Whether `user` comes from a token or from the caller's word.
    pub identity: Option<Identity>,
    /// The conversation or run.
    pub session: Option<String>,
    /// An id that the model or the client made unique for this call (`toolu_…`, `call_…`).
    pub call_id: Option<String>,
    /// The call or agent that caused this one.
    pub parent: Option<String>,
    /// The agent's name.
    pub agent: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// The program the agent runs in.
    pub client: Option<String>,
    /// W3C trace id.
    pub trace_id: Option<String>,
    /// W3C span id.
    pub span_id: Option<String>,
}

impl Context {
    /// Returns the context of a user of whom nothing else is known.
    #[must_use]
    pub fn new(user: impl Into<String>) -> Self {
        Self { user: user.into(), ..Self::default() }
    }

    /// Returns what the gate is asked when this caller wants `tool`.
    pub(crate) fn asks<'a>(&'a self, tool: &'a str) -> GateRequest<'a> {
        // The name that will stand in the entry is the name that rules see.
        let user = if self.user.is_empty() { UNKNOWN_USER } else { &self.user };
        GateRequest { user, role: self.role.as_deref(), tool }
    }

    /// Returns the call to record, without an outcome yet.
    pub(crate) fn call(&self, tool: &str, args: &str, rule: Option<&str>) -> Call {
        let mut call = Call::new(self.user.as_str(), tool, args);
        call.via = Via::Toolbox;
        call.identity = self.identity;
        call.session.clone_from(&self.session);
        call.call_id.clone_from(&self.call_id);
        call.parent.clone_from(&self.parent);
        call.agent.clone_from(&self.agent);
        call.model.clone_from(&self.model);
        call.client.clone_from(&self.client);
        call.trace_id.clone_from(&self.trace_id);
        call.span_id.clone_from(&self.span_id);
        call.rule = rule.map(str::to_owned);
        call
    }
}
