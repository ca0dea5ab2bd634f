"""An MCP server over standard input and output. Its tools answer a text, an error, and a JSON-RPC error."""

import json
import sys
from typing import Any

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

# A rule of the tests denies `kept`, so that it is never called.
TOOLS = ["ok", "bad", "broken", "kept"]


def call(tool: str, text: str) -> dict[str, Any]:
    """Answers a call."""
    if tool == "broken":
        return {"error": {"code": -32000, "message": f"broken: {text}"}}
    return {"result": {"content": [{"type": "text", "text": f"{tool}: {text}"}], "isError": tool == "bad"}}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Answers a request."""
    match method:
        case "initialize":
            about = {"name": "tiny", "version": "1"}
            version = params["protocolVersion"]
            return {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}}
        case "tools/list":
            return {"result": {"tools": [{"name": n, "description": n, "inputSchema": SCHEMA} for n in TOOLS]}}
        case "tools/call":
            return call(params["name"], str(params.get("arguments", {}).get("text")))
        case "ping":
            return {"result": {}}
    return {"error": {"code": -32601, "message": "no such method"}}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        head = {"jsonrpc": "2.0", "id": message["id"]}
        print(json.dumps(head | answer(message["method"], message.get("params") or {})), flush=True)
