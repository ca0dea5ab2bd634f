//! A tool: its name, description, schema and handler function.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::Context;
use tooltrail::any_glob_matches;

/// Maximum errors of one source chain that a message contains, because a chain of sources can be circular.
const SOURCES_MAX: usize = 16;

/// The future of one run of a handler.
pub(crate) type Run = Pin<Box<dyn Future<Output = Result<Output, ToolError>> + Send>>;

/// A tool: an async function with a name, a description and a JSON Schema for its arguments.
#[derive(Clone)]
pub struct Tool {
    name: String,
    description: String,
    schema: Value,
    roles: Vec<String>,
    timeout: Option<Duration>,
    handler: Arc<dyn Fn(Context, Value) -> Run + Send + Sync>,
}

impl Tool {
    /// Returns a tool that is visible to every role and has the toolbox's timeout.
    ///
    /// The handler runs on the caller's task. It is dropped when the caller gives up or the timeout expires; neither
    /// can stop a handler that blocks its thread. Every `Ok` value is recorded as `ok`, so a tool must report a failure
    /// as a [`ToolError`] and not in its result text, where the failure would be hidden.
    pub fn new<F, R, T>(name: impl Into<String>, description: impl Into<String>, schema: Value, handler: F) -> Self
    where
        F: Fn(Context, Value) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, ToolError>> + Send + 'static,
        T: Into<Output>,
    {
        let handler = Arc::new(move |ctx, args| -> Run {
            let run = handler(ctx, args);
            Box::pin(async move { run.await.map(Into::into) })
        });
        let (name, description) = (name.into(), description.into());
        Self { name, description, schema, roles: Vec::new(), timeout: None, handler }
    }

    /// Returns a tool whose arguments are a Rust type: the schema is generated from the type, and the handler gets a
    /// value of the type.
    ///
    /// Arguments that match the schema but cannot be deserialized (for example a number out of range) get the same
    /// answer as arguments that do not match the schema.
    ///
    /// The derives below need `serde` with its feature `derive`, and `schemars` of version 1, among your dependencies.
    ///
    /// ```
    /// use tooltrail_toolbox::{Tool, ToolError};
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Upper {
    ///     /// The text to write in capitals.
    ///     text: String,
    /// }
    ///
    /// let upper = Tool::typed("text.upper", "Returns the text in capitals", |_, args: Upper| async move {
    ///     Ok::<_, ToolError>(args.text.to_uppercase())
    /// });
    /// assert_eq!(upper.schema()["required"], serde_json::json!(["text"]));
    /// ```
    pub fn typed<A, F, R, T>(name: impl Into<String>, description: impl Into<String>, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(Context, A) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, ToolError>> + Send + 'static,
        T: Into<Output>,
    {
        let schema = schemars::schema_for!(A).to_value();
        let handler = Arc::new(move |ctx, args: Value| -> Run {
            match serde_json::from_value::<A>(args) {
                Ok(args) => {
                    let run = handler(ctx, args);
                    Box::pin(async move { run.await.map(Into::into) })
                }
                // The parser's message may quote a value, which may be a secret, so it is not used.
                Err(_) => {
                    let error = ToolError::invalid_args("the arguments fit the schema, but not the tool's type");
                    Box::pin(async move { Err(error) })
                }
            }
        });
        let (name, description) = (name.into(), description.into());
        Self { name, description, schema, roles: Vec::new(), timeout: None, handler }
    }

    /// Makes the tool visible only to roles that match one of these globs; for other callers it does not exist.
    #[must_use]
    pub fn roles<G: Into<String>>(mut self, globs: impl IntoIterator<Item = G>) -> Self {
        self.roles.extend(globs.into_iter().map(Into::into));
        self
    }

    /// Sets a timeout for this tool, which replaces the toolbox's timeout.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Returns the name by which the tool is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the description, which is written for a model.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the JSON Schema of the arguments.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Returns the tool's own timeout, if it has one.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.timeout
    }

    /// Returns whether the tool is visible to this caller.
    pub(crate) fn visible_to(&self, ctx: &Context) -> bool {
        any_glob_matches(&self.roles, ctx.role.as_deref().unwrap_or_default())
    }

    /// Calls the handler and returns its future. The handler may panic in this call already.
    pub(crate) fn run(&self, ctx: Context, args: Value) -> Run {
        (self.handler)(ctx, args)
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("name", &self.name).field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// The result of a tool.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "JSON knows strings and everything else; a text is quoted or it is not")]
pub enum Output {
    /// A text.
    Text(String),
    /// A JSON value.
    Json(Value),
    /// A text of which only the length is stored in the entry. A tool that reads the trail uses it, so that the trail
    /// does not store its own content again.
    Unquoted(String),
}

impl Output {
    /// Returns the text, or the JSON value as compact text.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) | Self::Unquoted(text) | Self::Json(Value::String(text)) => text.clone(),
            Self::Json(value) => value.to_string(),
        }
    }
}

impl From<String> for Output {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Output {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Value> for Output {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

/// A failure or refusal of a tool, with a text for the caller.
///
/// The `?` operator converts every `std` error to a `ToolError`; the texts of its sources are joined with colons. A
/// `ToolError` does not implement `std::error::Error`, because that would make this conversion impossible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError {
    message: String,
    kind: Kind,
}

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The tool failed.
    Failed,
    /// The tool is not allowed to do what the arguments ask for.
    Denied,
    /// The arguments do not have the form that the tool takes.
    InvalidArgs,
}

impl ToolError {
    /// Returns a failure with this text; the text is stored in the trail.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Failed }
    }

    /// Returns a refusal: the tool may not do what these arguments ask for, although the gate let it run.
    ///
    /// The entry has status `denied` and reason `policy` and, like every refusal, no text; its `rule` is the gate rule
    /// that let the tool run. Use the same text for every refusal, so that the text does not reveal what the caller may
    /// not see.
    pub fn denied(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Denied }
    }

    /// Returns the failure of arguments that match the schema but not the tool's type.
    pub(crate) fn invalid_args(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::InvalidArgs }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns whether the error is a refusal.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.kind == Kind::Denied
    }

    /// Returns the text of the error.
    #[must_use]
    pub fn into_message(self) -> String {
        self.message
    }
}

impl<E: std::error::Error> From<E> for ToolError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let sources = std::iter::successors(error.source(), |source| source.source());
        for source in sources.take(SOURCES_MAX) {
            message.push_str(": ");
            message.push_str(&source.to_string());
        }
        Self::new(message)
    }
}
