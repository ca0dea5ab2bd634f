//! The registry of tools: which tools exist and who can see them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tooltrail::{DurabilityPolicy, Effect, Gate, Recorder};

use crate::context::Context;
use crate::schema::Schema;
use crate::tool::Tool;

/// The timeout of a tool that has no timeout of its own: longer than a slow download takes, and shorter than a person
/// is willing to wait.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);

/// A set of tools with a gate that decides about calls and a recorder that records them. All methods take `&self`, so
/// tasks can share a toolbox.
///
/// ```
/// use std::sync::Arc;
///
/// use tooltrail::Recorder;
/// use tooltrail_toolbox::{Context, Tool, ToolError, Toolbox};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Greet {
///     name: String,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let home = folder.path();
/// let greet = Tool::typed("greet", "Greets somebody", |_, args: Greet| async move {
///     Ok::<_, ToolError>(format!("hello, {}", args.name))
/// });
/// let toolbox = Toolbox::builder(Arc::new(Recorder::open(home)?)).tool(greet).build()?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// let answer = toolbox.call(&Context::new("alice"), "greet", r#"{"name":"Bob"}"#).await?;
/// assert_eq!(answer.to_text(), "hello, Bob");
/// # Ok::<(), tooltrail_toolbox::CallError>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Toolbox {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) gate: Gate,
    pub(crate) durability: DurabilityPolicy,
    pub(crate) timeout: Duration,
    tools: BTreeMap<String, Registered>,
}

/// A tool with its compiled schema.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) tool: Tool,
    pub(crate) schema: Schema,
}

impl Toolbox {
    /// Returns a builder for a toolbox without tools, whose gate allows everything.
    pub fn builder(recorder: Arc<Recorder>) -> ToolboxBuilder {
        ToolboxBuilder {
            recorder,
            tools: Vec::new(),
            gate: Gate::default(),
            durability: DurabilityPolicy::default(),
            timeout: TIMEOUT_DEFAULT,
        }
    }

    /// Returns the tools that may be offered to a model, in order of their names: the tools that this caller can see
    /// and the gate allows.
    pub fn tools_for<'a>(&'a self, ctx: &'a Context) -> impl Iterator<Item = &'a Tool> {
        self.tools
            .values()
            .map(|registered| &registered.tool)
            .filter(|tool| tool.visible_to(ctx) && self.gate.decide(ctx.asks(tool.name())).effect == Effect::Allow)
    }

    /// Returns the tool with this name, if it exists and this caller can see it.
    pub(crate) fn find(&self, ctx: &Context, name: &str) -> Option<&Registered> {
        self.tools.get(name).filter(|registered| registered.tool.visible_to(ctx))
    }
}

/// Builds a [`Toolbox`].
#[derive(Debug)]
#[must_use]
pub struct ToolboxBuilder {
    recorder: Arc<Recorder>,
    tools: Vec<Tool>,
    gate: Gate,
    durability: DurabilityPolicy,
    timeout: Duration,
}

impl ToolboxBuilder {
    /// Adds a tool.
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Sets the gate.
    pub fn gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// Sets when the caller may get the answer: one [`Durability`](crate::Durability) for every tool, or a
    /// [`DurabilityPolicy`] that chooses it by the tool's name as called.
    pub fn durability(mut self, durability: impl Into<DurabilityPolicy>) -> Self {
        self.durability = durability.into();
        self
    }

    /// Sets the timeout of tools that have no timeout of their own.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Compiles every schema and returns the toolbox.
    ///
    /// # Errors
    /// [`BuildError`] for a tool without a name, for two tools with the same name, or for a schema that does not
    /// compile.
    pub fn build(self) -> Result<Toolbox, BuildError> {
        let mut tools = BTreeMap::new();
        for tool in self.tools {
            let name = tool.name().to_owned();
            if name.is_empty() {
                return Err(BuildError::Unnamed);
            }
            let schema = match Schema::compile(tool.schema()) {
                Ok(schema) => schema,
                Err(why) => return Err(BuildError::Schema { tool: name, why }),
            };
            if tools.insert(name.clone(), Registered { tool, schema }).is_some() {
                return Err(BuildError::Twice { tool: name });
            }
        }
        let Self { recorder, gate, durability, timeout, .. } = self;
        Ok(Toolbox { recorder, gate, durability, timeout, tools })
    }
}

/// The reason why a toolbox could not be built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A tool has no name.
    Unnamed,
    /// Two tools have the same name.
    Twice {
        /// The name.
        tool: String,
    },
    /// A schema does not compile.
    Schema {
        /// The name of the tool.
        tool: String,
        /// What is wrong with the schema.
        why: String,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed => f.write_str("a tool has no name"),
            Self::Twice { tool } => write!(f, "two tools are named {tool:?}"),
            Self::Schema { tool, why } => write!(f, "the schema of {tool:?} does not compile: {why}"),
        }
    }
}

impl std::error::Error for BuildError {}
