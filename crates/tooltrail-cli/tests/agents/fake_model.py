"""A model that plays scripts: it speaks the languages of three real ones, and its answers are known before.

A prompt with the word PLAY:NAME begins the script NAME. The model keeps no state: the requests of a client repeat the
whole conversation, so that the number of the next turn is the number of rounds of results since the last such prompt.
That is why sub-agents and resumed sessions, which have prompts of their own, need nothing special.
"""

import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Json = dict[str, Any]

PLAY = re.compile(r"PLAY:(\w+)")

# How clients ask for a summary that is to take the place of the conversation. The prompts are still in the request.
SUMMARY = (
    "CONTEXT CHECKPOINT COMPACTION", "Respond with TEXT ONLY", "<state_snapshot>", "The history is being compacted",
)  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """One call that the model asks for."""

    name: str
    args: Json
    # What Codex calls the group of a tool.
    namespace: str = ""


# One turn of a script: calls, or what makes them of the results of the turn before.
Turn = list[Ask] | Callable[[list[str]], list[Ask]]


@dataclass(frozen=True)
class Step:
    """One part of a conversation that is not the model's: a prompt, or the results of one turn."""

    prompt: str = ""
    results: tuple[str, ...] = ()


def text_of(content: Any) -> str:
    """Returns the text of a message, which is a text or a list of blocks."""
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text") or "" for block in content or [] if isinstance(block, dict))


class Anthropic:
    """The Messages API, which Claude Code speaks, and Copilot CLI if it is told to."""

    @staticmethod
    def steps(body: Json) -> Iterator[Step]:
        """Returns the conversation."""
        for message in body.get("messages", []):
            content = message["content"]
            if message["role"] != "user":
                continue
            if isinstance(content, list):
                results = [text_of(block.get("content")) for block in content if block.get("type") == "tool_result"]
                if results:
                    yield Step(results=tuple(results))
            yield Step(prompt=text_of(content))

    @staticmethod
    def answer(answer: "str | list[Ask]", tokens: int, stream: bool) -> "Json | list[Json]":
        """Returns an answer, in a stream as its events."""
        blocks: list[Json] = [{"type": "text", "text": answer}] if isinstance(answer, str) else []
        for ask in answer if isinstance(answer, list) else []:
            blocks.append({"type": "tool_use", "id": f"toolu_01{random()}", "name": ask.name, "input": ask.args})
        end = {"stop_reason": "end_turn" if isinstance(answer, str) else "tool_use", "stop_sequence": None}
        usage = {"input_tokens": tokens, "output_tokens": 5}
        usage |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        message = {"id": f"msg_01{random()}", "type": "message", "role": "assistant", "model": "fake", "usage": usage}
        if not stream:
            return message | {"content": blocks} | end
        events: list[Json] = [{"type": "message_start", "message": message | {"content": [], "stop_reason": None}}]
        for index, block in enumerate(blocks):
            empty: Json
            if block["type"] == "text":
                empty, delta = {"text": ""}, {"type": "text_delta", "text": block["text"]}
            else:
                empty, delta = {"input": {}}, {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            events.append({"type": "content_block_start", "index": index, "content_block": block | empty})
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
            events.append({"type": "content_block_stop", "index": index})
        events.append({"type": "message_delta", "delta": end, "usage": usage})
        return [*events, {"type": "message_stop"}]


class OpenAi:
    """The Responses API, which Codex speaks."""

    @staticmethod
    def steps(body: Json) -> Iterator[Step]:
        """Returns the conversation. Results that follow one another are those of one turn."""
        results: list[str] = []
        for item in body.get("input", []):
            kind = item.get("type", "message")
            if kind.endswith("_call_output"):
                results.append(text_of(item.get("output")))
                continue
            if results:
                yield Step(results=tuple(results))
                results = []
            if kind == "message" and item.get("role") != "assistant":
                yield Step(prompt=text_of(item.get("content")))
        if results:
            yield Step(results=tuple(results))

    @staticmethod
    def answer(answer: "str | list[Ask]", tokens: int, stream: bool) -> "Json | list[Json]":
        """Returns an answer, in a stream as its events."""
        items: list[Json] = []
        if isinstance(answer, str):
            content = [{"type": "output_text", "text": answer, "annotations": []}]
            items.append({"type": "message", "id": f"msg_{random()}", "role": "assistant", "content": content})
        for ask in answer if isinstance(answer, list) else []:
            item = {"type": "function_call", "id": f"fc_{random()}", "call_id": f"call_{random()}", "name": ask.name}
            space = {"namespace": ask.namespace} if ask.namespace else {}
            items.append(item | {"arguments": json.dumps(ask.args)} | space)
        items = [item | {"status": "completed"} for item in items]
        usage: Json = {"input_tokens": tokens, "output_tokens": 5, "total_tokens": tokens + 5}
        usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        response: Json = {"id": f"resp_{random()}", "object": "response", "model": "fake", "status": "completed"}
        response |= {"output": items, "usage": usage}
        if not stream:
            return response
        begun = response | {"status": "in_progress", "output": []}
        events: list[Json] = [{"type": "response.created", "response": begun}]
        for index, item in enumerate(items):
            events.append({"type": "response.output_item.added", "output_index": index, "item": item})
            events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        return [*events, {"type": "response.completed", "response": response}]


class Google:
    """The API of Gemini. It gives calls no ids."""

    @staticmethod
    def steps(body: Json) -> Iterator[Step]:
        """Returns the conversation."""
        for content in body.get("contents", []):
            if content.get("role") == "model":
                continue
            parts = content.get("parts", [])
            results = [json.dumps(part["functionResponse"]) for part in parts if "functionResponse" in part]
            if results:
                yield Step(results=tuple(results))
            yield Step(prompt=text_of(parts))

    @staticmethod
    def answer(answer: "str | list[Ask]", tokens: int, stream: bool) -> "Json | list[Json]":
        """Returns an answer, in a stream as its events."""
        parts: list[Json] = [{"text": answer}] if isinstance(answer, str) else []
        for ask in answer if isinstance(answer, list) else []:
            parts.append({"functionCall": {"name": ask.name, "args": ask.args}})
        candidate = {"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
        usage = {"promptTokenCount": tokens, "candidatesTokenCount": 5, "totalTokenCount": tokens + 5}
        response = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "fake", "responseId": random()}
        return [response] if stream else response


def random() -> str:
    """Returns the random part of an id, as long as in those of real models."""
    return secrets.token_hex(11)


class FakeModel:
    """The model as a server on this machine, with its scripts."""

    def __init__(self, scripts: dict[str, list[Turn]]) -> None:
        self.scripts = scripts
        # The scripts whose turns count as long, so that a client makes a summary after them.
        self.long: set[str] = set()
        # The script that begins after a summary.
        self.after_summary = ""
        self.requests: list[Json] = []
        # How many summaries were asked for.
        self.summaries = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Returns the model."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the server."""
        self._server.shutdown()
        self._server.server_close()

    def next(self, steps: list[Step]) -> "tuple[str | list[Ask], int]":
        """Returns the answer to a conversation, and the tokens that it counts."""
        name, rounds, results = "", 0, []
        for step in steps:
            if step.results:
                rounds, results = rounds + 1, list(step.results)
            elif found := PLAY.findall(step.prompt):
                name, rounds = found[-1], 0
        tokens = 100_000 if name in self.long else 10
        if steps and any(words in steps[-1].prompt for words in SUMMARY):
            self.summaries += 1
            return f"PLAY:{self.after_summary}" if self.after_summary else "a summary", 10
        turns = self.scripts.get(name, [])
        if rounds >= len(turns):
            return "done", tokens
        turn = turns[rounds]
        return (turn if isinstance(turn, list) else turn(results)), tokens

    def reply(self, path: str, body: Json) -> "Json | list[Json] | None":
        """Returns the answer to a request: a list for a stream; `None` for one that is not understood."""
        self.requests.append(body)
        match path.rsplit("/", 1)[-1].rsplit(":", 1)[-1]:
            case "messages":
                return Anthropic.answer(*self.next(list(Anthropic.steps(body))), bool(body.get("stream")))
            case "responses":
                return OpenAi.answer(*self.next(list(OpenAi.steps(body))), bool(body.get("stream")))
            case "generateContent" | "streamGenerateContent" as method:
                return Google.answer(*self.next(list(Google.steps(body))), method.startswith("stream"))
            case "count_tokens" | "countTokens":
                return {"input_tokens": 10, "totalTokens": 10}
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send({"object": "list", "data": [], "models": []})

            def do_HEAD(self) -> None:
                self.send({})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
                self.send(model.reply(self.path.split("?")[0], body))

            def send(self, answer: "Json | list[Json] | None") -> None:
                if isinstance(answer, list):
                    kind, text = "text/event-stream", "".join(map(event, answer))
                else:
                    kind, text = "application/json", json.dumps(answer or {"error": {"message": "not found"}})
                self.send_response(404 if answer is None else 200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def event(data: Json) -> str:
    """Returns an event of a stream. Those of Gemini have no name."""
    name = f"event: {data['type']}\n" if "type" in data else ""
    return f"{name}data: {json.dumps(data)}\n\n"
