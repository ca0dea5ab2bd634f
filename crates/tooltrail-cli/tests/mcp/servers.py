"""The real servers, and for each the calls that every client makes: successes, failures of a tool, and wrong calls."""

import functools
import http.server
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NPM = HERE / "npm"

Call = tuple[str, dict[str, Any]]

# The servers that speak only the protocol version 2025-11-25, and those that speak 2026-07-28, too.
OLD = ["everything", "filesystem", "memory"]
NEW = ["git", "time", "fetch"]

# A text of more characters than a snippet has, with characters that JSON may write in several ways.
LONG = "A line with “quotes”, a \t tab, a 😀 and a \\ backslash.\n" * 8


class Page(http.server.BaseHTTPRequestHandler):
    """A small page, and 404 for every other path."""

    def do_GET(self) -> None:
        """Answers a request; the name is the one that the module calls."""
        found = self.path == "/page"
        body = b"<html><body><article><h1>A page</h1><p>It has a paragraph.</p></article></body></html>"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Writes no log."""


@dataclass
class Server:
    """A server's command and calls."""

    command: list[str]
    calls: list[Call]
    # The same calls give the same bytes, so that a run through tooltrail can be compared with one without.
    deterministic: bool = True
    # The file that the server writes, as the argument of `env`; it is removed before each run.
    state: str = ""


class World:
    """What the servers look at: a folder, a file outside of it, a repository and a page; the calls only read them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        root = Path(self._folder.name).resolve()
        self.root = root
        files = root / "files"
        files.mkdir()
        (files / "greeting.txt").write_text("Good morning.\n", encoding="utf-8")
        (root / "outside.txt").write_text("Not for you.\n", encoding="utf-8")
        self._repository(root / "repository")
        self._page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=self._page.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self._page.server_address[1]}"
        self.servers = servers(str(files), str(root / "outside.txt"), str(root / "repository"), url)

    def _repository(self, path: Path) -> None:
        """Makes a repository of one commit that has the same id on each machine."""
        git = functools.partial(
            subprocess.run, check=True, capture_output=True,
            env={
                "PATH": os.environ["PATH"], "HOME": str(self.root), "GIT_CONFIG_NOSYSTEM": "1",
                **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
                   {"NAME": "Ada", "EMAIL": "ada@example.org", "DATE": "2026-01-02T03:04:05+00:00"}.items()},
            },
        )  # fmt: skip
        git(["git", "init", "--quiet", "--initial-branch=main", str(path)])
        (path / "a.txt").write_text("one\n", encoding="utf-8")
        git(["git", "-C", str(path), "add", "a.txt"])
        git(["git", "-C", str(path), "commit", "--quiet", "--message=The first commit"])

    def close(self) -> None:
        """Ends the page and removes the files."""
        self._page.shutdown()
        self._page.server_close()
        self._folder.cleanup()


def servers(files: str, outside: str, repository: str, url: str) -> dict[str, Server]:
    """Returns the servers by name. Each gets calls that succeed, that fail, and that are wrong."""

    def node(name: str) -> str:
        """Returns the path of a server from npm."""
        return str(NPM / "servers" / "node_modules" / ".bin" / f"mcp-server-{name}")

    def python(name: str) -> str:
        """Returns the path of a server from PyPI, which is installed beside this interpreter."""
        return str(Path(sys.executable).parent / f"mcp-server-{name}")

    return {
        "everything": Server(
            [node("everything"), "stdio"],
            [
                ("echo", {"message": "hello"}),
                ("echo", {"message": LONG}),
                ("get-sum", {"a": 0.1, "b": -2e3}),
                ("get-tiny-image", {}),
                ("get-structured-content", {"location": "New York"}),
                ("echo", {"message": 3}),
                ("no-such-tool", {"nested": {"list": [1, None, True]}}),
            ],
        ),
        "filesystem": Server(
            [node("filesystem"), files],
            [
                ("read_text_file", {"path": f"{files}/greeting.txt"}),
                ("list_directory", {"path": files}),
                ("read_text_file", {"path": outside}),
                ("read_text_file", {}),
                ("no_such_tool", {}),
            ],
        ),
        "memory": Server(
            [node("memory")],
            [
                ("create_entities", {"entities": [{"name": "Ada", "entityType": "person", "observations": []}]}),
                ("read_graph", {}),
                ("add_observations", {"observations": [{"entityName": "nobody", "contents": ["is missing"]}]}),
                ("open_nodes", {"names": "Ada"}),
                ("no_such_tool", {}),
            ],
            state="MEMORY_FILE_PATH",
        ),
        "git": Server(
            [python("git"), "--repository", repository],
            [
                ("git_status", {"repo_path": repository}),
                ("git_log", {"repo_path": repository, "max_count": 1}),
                ("git_show", {"repo_path": repository, "revision": "no-such-revision"}),
                ("git_status", {"repo_path": 3}),
                ("no_such_tool", {}),
            ],
        ),
        # Not compared with a run without tooltrail, because the results hold the time or the day.
        "time": Server(
            [python("time"), "--local-timezone=UTC"],
            [
                ("get_current_time", {"timezone": "UTC"}),
                ("convert_time", {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
                ("get_current_time", {"timezone": "Nowhere/Land"}),
                ("get_current_time", {}),
                ("no_such_tool", {}),
            ],
            deterministic=False,
        ),
        "fetch": Server(
            [python("fetch"), "--allow-private-ips", "--ignore-robots-txt"],
            [
                ("fetch", {"url": f"{url}/page"}),
                ("fetch", {"url": f"{url}/page", "raw": True, "max_length": 20}),
                ("fetch", {"url": f"{url}/missing"}),
                ("fetch", {"url": f"{url}/page", "max_length": "many"}),
                ("no_such_tool", {}),
            ],
        ),
        # Without the flag, the server refuses addresses of this machine.
        "fetch-guarded": Server(
            [python("fetch"), "--ignore-robots-txt"],
            [("fetch", {"url": f"{url}/page"})],
        ),
    }
