//! The caller of a tool: what a dispatch knows besides the tool and its arguments.

use tooltrail::{Call, GateRequest, Identity, UNKNOWN_USER, Via};

/// Who calls a tool, and in which conversation. Unknown values stay `None` and are left out of the entry.
///
/// ```
/// use tooltrail_toolbox::Context;
///
/// let ctx = Context::new("alice").with_role("admin").with_session("s-1");
/// assert_eq!(ctx.session.as_deref(), Some("s-1"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// The user whose agent makes the call; an empty string counts as `unknown`.
    pub user: String,
    /// The user's role. It decides which tools are visible, and gate rules can match it. It is not stored.
    pub role: Option<String>,
    /// Whether `user` was verified by a token or only claimed by the caller.
    pub identity: Option<Identity>,
    /// The conversation or run that the call belongs to.
    pub session: Option<String>,
    /// An id that the model or the client made unique for this call (`toolu_…`, `call_…`).
    pub call_id: Option<String>,
    /// The call or agent that caused this one.
    pub parent: Option<String>,
    /// The agent's name.
    pub agent: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// The program in which the agent runs.
    pub client: Option<String>,
    /// W3C trace id.
    pub trace_id: Option<String>,
    /// W3C span id.
    pub span_id: Option<String>,
}

impl Context {
    /// Returns the context of a user, with everything else unknown.
    #[must_use]
    pub fn new(user: impl Into<String>) -> Self {
        Self { user: user.into(), ..Self::default() }
    }

    /// Returns the context with the user's role.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// Returns the context with the conversation or run.
    #[must_use]
    pub fn with_session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Returns the context with the id that the model or the client gave this call.
    #[must_use]
    pub fn with_call_id(mut self, call_id: impl Into<String>) -> Self {
        self.call_id = Some(call_id.into());
        self
    }

    /// Returns the context with the call or agent that caused this one.
    #[must_use]
    pub fn with_parent(mut self, parent: impl Into<String>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// Returns the context with the agent's name.
    #[must_use]
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Returns the context with the model's name.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Returns the context with the program in which the agent runs.
    #[must_use]
    pub fn with_client(mut self, client: impl Into<String>) -> Self {
        self.client = Some(client.into());
        self
    }

    /// Returns the context with the W3C trace id.
    #[must_use]
    pub fn with_trace_id(mut self, trace_id: impl Into<String>) -> Self {
        self.trace_id = Some(trace_id.into());
        self
    }

    /// Returns the context with the W3C span id.
    #[must_use]
    pub fn with_span_id(mut self, span_id: impl Into<String>) -> Self {
        self.span_id = Some(span_id.into());
        self
    }

    /// Returns the context with how the user's name is known: from a token, or claimed by the caller.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Returns the gate request for this caller and `tool`.
    pub(crate) fn asks<'a>(&'a self, tool: &'a str) -> GateRequest<'a> {
        // Rules see the same user name that is stored in the entry.
        let user = if self.user.is_empty() { UNKNOWN_USER } else { &self.user };
        GateRequest { user, role: self.role.as_deref(), tool, alias: None }
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
