//! A registry of tools that records every call in the trail.
//!
//! A [`Toolbox`] holds async [`Tool`]s, each with a name, a description and a JSON Schema. [`Toolbox::call`] decides
//! whether the caller may use the tool, checks the arguments, runs the tool and records exactly one entry, regardless
//! of how the call ends: with a result, an error, a panic, a timeout, a cancellation or a refusal.
//!
//! The crate includes tools with which an agent reads its own trail: [`FileRead`], [`audit_recent`], [`audit_stats`],
//! [`audit_sessions`] and [`audit_get`].
//!
//! The [`Gate`] is plain data with a pure function, so other captures use it without a toolbox.
//!
//! ```
//! use std::sync::Arc;
//!
//! use serde_json::{Value, json};
//! use tooltrail::Recorder;
//! use tooltrail_toolbox::{Context, Tool, ToolError, Toolbox};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let home = folder.path();
//! let recorder = Arc::new(Recorder::open(home)?);
//! let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
//! let upper = Tool::new("text.upper", "Returns the text in capitals", schema, |_, args: Value| async move {
//!     let text = args["text"].as_str().ok_or_else(|| ToolError::new("no text"))?;
//!     Ok(text.to_uppercase())
//! });
//! let toolbox = Toolbox::builder(Arc::clone(&recorder)).tool(upper).build()?;
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! let answer = runtime.block_on(toolbox.call(&Context::new("alice"), "text.upper", r#"{"text":"hello"}"#))?;
//! assert_eq!(answer.to_text(), "HELLO");
//! recorder.close()?; // `alice/tool_audit/<date>.jsonl` now has the entry
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

// Tools and their callers.
mod context;
mod tool;

// The check of a tool's arguments.
mod schema;

// The registry and the dispatch of calls.
mod dispatch;
mod toolbox;

// Included tools, with which an agent reads files and its own trail.
mod tools;

pub use context::Context;
pub use dispatch::{CallError, REFUSAL};
pub use tool::{Output, Tool, ToolError};
pub use toolbox::{BuildError, TIMEOUT_DEFAULT, Toolbox, ToolboxBuilder};
pub use tools::{
    ANSWER_BYTES_MAX, FileRead, PATH_REFUSAL, READ_BYTES_MAX, Root, USER_REFUSAL, audit_get, audit_recent,
    audit_sessions, audit_stats,
};
pub use tooltrail::{Durability, DurabilityPolicy, Effect, Gate, GateRequest, Rule, Verdict};
