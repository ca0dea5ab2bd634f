//! The server: lists the tools and calls them.

use std::path::Path;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use tooltrail::{Recorder, Trail};
use tooltrail_toolbox::{CallError, Context, FileRead, Toolbox, audit_get, audit_recent, audit_sessions, audit_stats};

use crate::client::Client;
use crate::failure::Failure;
use crate::mcp_server::definitions;

/// The path of the MCP server of a service.
const PATH: &str = "/mcp";

/// The server for one user.
#[derive(Clone, Debug)]
pub(crate) struct AuditServer(Backend);

#[derive(Clone, Debug)]
enum Backend {
    /// The tools read the home.
    Here(Arc<Toolbox>, Context),
    /// A service has the tools.
    There(Client),
}

/// Returns the tools that read a trail. Each call of them is recorded. `keys` is the folder of keys, which nobody reads.
///
/// # Errors
/// A folder cannot be opened.
pub(crate) fn toolbox(recorder: Arc<Recorder>, trail: Arc<Trail>, keys: Option<&Path>) -> Result<Toolbox, Failure> {
    let file_read = FileRead::new(recorder.home(), keys).build()?;
    let tools = [
        audit_recent(Arc::clone(&trail)),
        audit_stats(Arc::clone(&trail)),
        audit_sessions(Arc::clone(&trail)),
        audit_get(trail),
        file_read,
    ];
    let builder = tools.into_iter().fold(Toolbox::builder(recorder), |builder, tool| builder.tool(tool));
    builder.build().map_err(|error| Failure::could_not(error.to_string(), "report it"))
}

impl AuditServer {
    /// Returns the server for the user of a context.
    pub(crate) const fn new(toolbox: Arc<Toolbox>, context: Context) -> Self {
        Self(Backend::Here(toolbox, context))
    }

    /// Returns a server whose tools a service has.
    pub(crate) const fn of_service(client: Client) -> Self {
        Self(Backend::There(client))
    }

    async fn run(&self, tool: &str, args: String) -> CallToolResult {
        match &self.0 {
            Backend::Here(toolbox, context) => match toolbox.call(context, tool, &args).await {
                Ok(output) => answer(&output.to_text()),
                Err(error) => failed(&text_of(&error)),
            },
            Backend::There(client) => {
                let params = serde_json::json!({ "name": tool, "arguments": read(&args) });
                match asked(client.clone(), "tools/call", params).await {
                    Ok(result) => serde_json::from_value(result).unwrap_or_else(|_| failed(NOT_UNDERSTOOD)),
                    Err(why) => failed(&why),
                }
            }
        }
    }

    async fn definitions(&self) -> Result<Vec<Tool>, String> {
        match &self.0 {
            Backend::Here(toolbox, context) => Ok(definitions::of(toolbox, context)),
            Backend::There(client) => {
                let listed = asked(client.clone(), "tools/list", serde_json::json!({})).await?;
                serde_json::from_value(listed["tools"].clone()).map_err(|_| NOT_UNDERSTOOD.to_owned())
            }
        }
    }
}

const NOT_UNDERSTOOD: &str = "the answer of the service is not understood";

impl ServerHandler for AuditServer {
    fn get_info(&self) -> ServerConfig {
        let server = Implementation::new("tooltrail", env!("CARGO_PKG_VERSION"));
        let config = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        config.with_server_info(server).with_instructions(definitions::INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.definitions().await.map_err(|why| ErrorData::internal_error(why, None))?;
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let args = Value::Object(request.arguments.unwrap_or_default()).to_string();
        Ok(self.run(&request.name, args).await.into())
    }
}

/// Sends a request to the MCP server of a service.
async fn asked(client: Client, method: &'static str, params: Value) -> Result<Value, String> {
    let request = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let answered = tokio::task::spawn_blocking(move || client.post_json(PATH, request.as_bytes())).await;
    let answer = answered.map_err(|error| error.to_string())?.map_err(|error| error.0)?;
    let mut read = serde_json::from_str::<Value>(&answer.body).unwrap_or_default();
    if answer.status == 200 && !read["result"].is_null() {
        return Ok(read["result"].take());
    }
    let told = [&read["error"]["message"], &read["detail"]].into_iter().find_map(Value::as_str);
    Err(told.map_or_else(|| format!("the service answered {}", answer.status), str::to_owned))
}

/// Returns the result of a tool that answered with JSON: as structure, and as text for clients that know no structure.
fn answer(text: &str) -> CallToolResult {
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = serde_json::from_str(text).ok().map(visible);
    result
}

/// Returns a value in which characters that nobody sees, or that turn the direction of a text, are written as escapes. The
/// text of the answer has them as escapes of JSON, which a client takes out of the structure.
fn visible(value: Value) -> Value {
    let text = |text: String| match text.contains(is_hidden) {
        true => {
            text.chars().map(|c| if is_hidden(c) { format!("\\u{{{:04x}}}", u32::from(c)) } else { c.into() }).collect()
        }
        false => text,
    };
    match value {
        Value::String(string) => Value::String(text(string)),
        Value::Array(values) => values.into_iter().map(visible).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (text(name), visible(value))).collect(),
        other => other,
    }
}

fn is_hidden(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn failed(text: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// Returns what a caller is told of a failed call.
fn text_of(error: &CallError) -> String {
    error.to_string()
}

fn read(args: &str) -> Value {
    serde_json::from_str(args).unwrap_or_default()
}
