//! The text of a result whose content is a list of blocks.

use serde_json::Value;

/// Returns the text of a content: a string as it is, texts of blocks joined by newlines, and other blocks by type and
/// size, as for results of MCP servers.
pub(crate) fn text_of(content: &Value) -> String {
    match content {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().map(block).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

fn block(block: &Value) -> String {
    if let Some(text) = block.get("text").and_then(Value::as_str) {
        return text.to_owned();
    }
    let kind = block.get("type").and_then(Value::as_str).unwrap_or("content");
    let source = ["source", "inlineData"].iter().find_map(|name| block.get(*name)).unwrap_or(block);
    let mime = ["media_type", "mimeType"].iter().find_map(|name| source.get(name).and_then(Value::as_str));
    let bytes = source.get("data").and_then(Value::as_str).map(|data| data.len() as u64 * 3 / 4);
    let label = mime.unwrap_or(kind);
    bytes.map_or_else(|| format!("[{label}]"), |bytes| format!("[{label}, {}]", crate::mcp::read::size(bytes)))
}
