//! One tool: its name, description, schema and the function behind it.

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

/// Errors of one chain that a message names: a cycle of sources must end somewhere.
const SOURCES_MAX: usize = 16;

/// The future of one run.
pub(crate) type Run = Pin<Box<dyn Future<Output = Result<Output, ToolError>> + Send>>;

/// An async function with a name, a description and a JSON Schema for its arguments.
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
    /// Returns a tool that every role sees, with the toolbox's limit of time.
    ///
    /// The handler runs on the caller's task and is dropped when the caller gives up or the time is over; one that
    /// blocks its thread can be stopped by neither. Whatever it returns with `Ok` is recorded as `ok`: a tool that
    /// puts a failure into its result text hides it, so return a [`ToolError`].
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

    /// Returns a tool whose arguments are a type: its schema follows from the type, and the handler gets the value.
    ///
    /// Arguments that fit the schema and still cannot be read into the type (a number out of range, say) are answered
    /// like arguments that do not fit.
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
                // The message of the parser may quote a value, which may be a secret.
                Err(_) => {
                    let error = ToolError::invalid_args("the arguments fit the schema, but not the tool's type");
                    Box::pin(async move { Err(error) })
                }
            }
        });
        let (name, description) = (name.into(), description.into());
        Self { name, description, schema, roles: Vec::new(), timeout: None, handler }
    }

    /// Shows the tool only to roles that match one of these globs; for everybody else it does not exist.
    #[must_use]
    pub fn roles<G: Into<String>>(mut self, globs: impl IntoIterator<Item = G>) -> Self {
        self.roles.extend(globs.into_iter().map(Into::into));
        self
    }

    /// Gives the tool its own limit of time.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Returns the name by which it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what a model reads about it.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the JSON Schema of its arguments.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Returns its own limit of time.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.timeout
    }

    /// Returns whether this caller sees it.
    pub(crate) fn visible_to(&self, ctx: &Context) -> bool {
        any_glob_matches(&self.roles, ctx.role.as_deref().unwrap_or_default())
    }

    /// Calls the handler, which may panic already here.
    pub(crate) fn run(&self, ctx: Context, args: Value) -> Run {
        (self.handler)(ctx, args)
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("name", &self.name).field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// What a tool returns.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "JSON knows strings and everything else; a text is quoted or it is not")]
pub enum Output {
    /// Text.
    Text(String),
    /// A JSON value.
    Json(Value),
    /// Text of which the entry keeps the length alone: what was read from the trail must not feed the trail.
    Unquoted(String),
}

impl Output {
    /// Returns the text, or the value as compact JSON text.
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

/// A tool's failure or refusal, as a text for the caller.
///
/// Every `std` error becomes one by `?`, its sources joined by colons. It is no `std` error itself, which would make
/// that conversion impossible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError {
    message: String,
    kind: Kind,
}

/// What kind of answer an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The tool failed.
    Failed,
    /// The tool may not do what the arguments ask for.
    Denied,
    /// The arguments are not what the tool takes.
    InvalidArgs,
}

impl ToolError {
    /// Returns a failure with this text, which the trail keeps.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Failed }
    }

    /// Returns a refusal: the tool may not do what these arguments ask for, whoever let it run.
    ///
    /// The entry is `denied`, `policy`, and holds no text, as with every refusal; its `rule` is the gate's that let
    /// the tool run. A text that is always the same tells the caller nothing about what it may not see.
    pub fn denied(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Denied }
    }

    /// Returns the failure of arguments that fit the schema and not the tool's type.
    pub(crate) fn invalid_args(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::InvalidArgs }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns whether it is a refusal.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.kind == Kind::Denied
    }

    /// Returns the text.
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
