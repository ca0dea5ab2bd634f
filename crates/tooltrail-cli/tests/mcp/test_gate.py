"""The gate in front of a real server, as the model behind a real client sees it."""

import tempfile
import unittest
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

from servers import World
from support import USER, WAIT_S, binary, trail

# Rules for the server, and one for its name as a coding agent's hook writes it.
RULES = """
[[gate.rules]]
name = "no-commits"
effect = "deny"
tools = ["git_commit", "mcp__repo__git_add"]

[[mcp.repo.rules]]
name = "not-offered"
effect = "hide"
tools = ["git_reset"]
"""

# What the model reads instead of a result.
DENIED = 'Denied by the rule "{rule}" of tooltrail\'s gate: {tool} may not be called.'


class Gate(unittest.TestCase):
    """A model that may look at a repository and not change it."""

    def test_a_model_sees_a_result_that_names_the_rule(self) -> None:
        """In both protocol versions: the tool is not called, and the client takes the answer for a failed tool."""
        world = World()
        self.addCleanup(world.close)
        for mode in ("legacy", "2026-07-28"):
            with self.subTest(mode=mode), tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                tools, seen = self.play(folder, world, mode)
                self.assertIn("git_commit", tools)
                self.assertNotIn("git_reset", tools)
                for tool, rule in (("git_commit", "no-commits"), ("git_add", "no-commits"), ("git_reset", "not-offered")):
                    result = seen[tool]
                    self.assertTrue(result["isError"])
                    self.assertEqual(result["content"][0]["text"], DENIED.format(rule=rule, tool=tool))
                self.assertFalse(seen["git_log"].get("isError", False))
                entries, _ = trail(folder / "trail")
                found = {entry["tool"]: (entry["status"], entry.get("rule")) for entry in entries}
                self.assertEqual(
                    found,
                    {
                        "git_commit": ("denied", "no-commits"), "git_add": ("denied", "no-commits"),
                        "git_reset": ("denied", "not-offered"), "git_log": ("ok", None),
                    },
                )  # fmt: skip

    def play(self, folder: Path, world: World, mode: str) -> "tuple[list[str], dict[str, Any]]":
        """Returns the names of the tools that the client lists, and the result of each call."""
        rules = folder / "tooltrail.toml"
        rules.write_text(RULES, encoding="utf-8")
        repository = str(world.root / "repository")
        proxy = [
            binary(), "mcp", "--home", str(folder / "trail"), "--keys", str(folder / "keys"), "--config", str(rules),
            "--user", USER, "--server", "repo", "--", *world.servers["git"].command,
        ]  # fmt: skip

        async def run() -> "tuple[list[str], dict[str, Any]]":
            server = StdioServerParameters(command=proxy[0], args=proxy[1:], env={"HOME": str(folder)})
            with anyio.fail_after(WAIT_S):
                async with Client(server, mode=mode) as client:
                    listed = await client.list_tools()
                    seen: "dict[str, Any]" = {}
                    calls: "list[tuple[str, dict[str, Any]]]" = [
                        ("git_commit", {"repo_path": repository, "message": "no"}),
                        ("git_add", {"repo_path": repository, "files": ["a.txt"]}),
                        ("git_reset", {"repo_path": repository}),
                        ("git_log", {"repo_path": repository}),
                    ]
                    for tool, arguments in calls:
                        result = await client.call_tool(tool, arguments)
                        seen[tool] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
                    return [tool.name for tool in listed.tools], seen

        return anyio.run(run)
