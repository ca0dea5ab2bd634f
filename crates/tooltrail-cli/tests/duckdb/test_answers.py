"""The counts, groups, series and quantiles of the program are those of DuckDB over the same files."""

import datetime
import json
import os
import random
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import duckdb

BIN = os.environ["TOOLTRAIL_BIN"]
USERS = ["alice", "bob", "carol"]
TOOLS = [f"fs.tool_{n}" for n in range(6)] + [f"mcp__search__tool_{n}" for n in range(6)]
DAYS = 4
# Captures, the most trusted first.
CAPTURES = ["proxy", "hook", "http"]
PERCENTS = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}

# The calls: of several sightings with one call id, the most trusted one.
CALLS = """
    SELECT * EXCLUDE (rank) FROM (
        SELECT "user", tool, status, ts::TIMESTAMP AS ts, duration_ms, result_chars, session,
            CASE via WHEN 'proxy' THEN 1 WHEN 'hook' THEN 2 WHEN 'http' THEN 3 ELSE 4 END AS rank,
            row_number() OVER (PARTITION BY "user", call_id ORDER BY rank) AS n
        FROM read_json({files}, format='newline_delimited', columns={{
            ts: 'VARCHAR', "user": 'VARCHAR', tool: 'VARCHAR', status: 'VARCHAR', duration_ms: 'DOUBLE',
            result_chars: 'BIGINT', session: 'VARCHAR', call_id: 'VARCHAR', via: 'VARCHAR'}})
        WHERE via IS DISTINCT FROM 'tooltrail'
    ) WHERE n = 1
"""


def line(dice, number, day, user, captures):
    """Returns the lines of one call: one for each capture."""
    at = day + datetime.timedelta(milliseconds=dice.randrange(120_000, 86_280_000))
    entry = {
        "ts": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z",
        "user": user,
        "tool": dice.choice(TOOLS[: 2 + dice.randrange(10)]),
        "args": {"path": f"/srv/{number % 50}"},
    }
    call_id = f"toolu_01{dice.getrandbits(96):024x}Kq"
    lines = []
    for capture in captures:
        entry["status"] = "denied" if number % 17 == 0 else dice.choice(["ok", "ok", "ok", "error"])
        entry["result_chars"] = dice.randrange(30_000)
        entry["result_snippet"] = ""
        entry["duration_ms"] = round(dice.lognormvariate(4, 1.5), 3)
        entry["session"] = f"s-{number % 7}"
        entry["call_id"] = call_id
        entry["via"] = capture
        lines.append((entry["ts"], json.dumps(entry, separators=(",", ":"))))
    return lines


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp())
        cls.home = cls.folder / "home"
        cls.environment = os.environ | {"TOOLTRAIL_HOME": str(cls.home), "XDG_STATE_HOME": str(cls.folder / "state")}
        dice = random.Random(16)
        today = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
        cls.dates = [today - datetime.timedelta(days=1 + back) for back in range(DAYS)]
        number = 0
        for day in cls.dates:
            for user in USERS:
                lines = []
                for _ in range(400):
                    number += 1
                    # Some calls are seen by two captures, in any order.
                    captures = dice.sample(CAPTURES, 2) if number % 5 == 0 else [dice.choice(CAPTURES)]
                    lines += line(dice, number, day, user, captures)
                lines.sort(key=lambda pair: pair[0])
                file = cls.home / user / "tool_audit" / day.strftime("%Y-%m-%d.jsonl")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("".join(text + "\n" for _, text in lines))
        # An import of many calls, after which all files are counted.
        calls = cls.folder / "calls.jsonl"
        with calls.open("w") as out:
            for n in range(12_000):
                for _, text in line(dice, n, cls.dates[n % DAYS], "dora", ["http"]):
                    out.write(text + "\n")
        subprocess.run([BIN, "import", str(calls)], env=cls.environment, check=True, capture_output=True)
        cls.rollups = cls.home / ".tooltrail" / "rollup"
        cls.aside = cls.folder / "aside"
        cls.calls = CALLS.format(files=f"'{cls.home}/*/tool_audit/*.jsonl'")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def ask(self, *words):
        ran = subprocess.run([BIN, *words, "--json"], env=self.environment, capture_output=True, text=True)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return json.loads(ran.stdout)

    def both(self, source, *words):
        """Asks with the rollups and without them, and checks where the answers are from."""
        with_rollups = self.ask(*words)
        self.assertEqual(with_rollups["source"], source, words)
        self.rollups.rename(self.aside)
        try:
            without = self.ask(*words)
        finally:
            self.aside.rename(self.rollups)
        self.assertEqual(without["source"], "scan", words)
        return [with_rollups, without]

    def count(self, what, where):
        query = f"SELECT {what}, count(*) FROM ({self.calls}) WHERE {where} GROUP BY ALL"
        return {name: count for name, count in duckdb.sql(query).fetchall()}

    def near(self, found, values, what):
        """Checks quantiles against all values in order."""
        values.sort()
        for name, percent in PERCENTS.items():
            if name in found:
                exact = values[-(-len(values) * percent // 100) - 1]
                self.assertLessEqual(abs(found[name] - exact), exact * 0.01 + 0.001, (what, name))
        if "max" in found:
            self.assertEqual(found["max"], values[-1], what)

    def check_stats(self, source, query, where, *flags):
        for answer in self.both(source, "stats", query, *flags):
            what = (query, flags, answer["source"])
            self.assertTrue(answer["complete"], what)
            self.assertEqual(answer["total"], sum(self.count("1", where).values()), what)
            statuses = {status: count for status, count in answer["by_status"].items() if count}
            self.assertEqual(statuses, self.count("status", where), what)
            self.assertEqual(answer["by_user"], self.count('"user"', where), what)
            self.assertEqual(answer["by_day"], self.count("strftime(ts, '%Y-%m-%d')", where), what)
            tools = self.count("tool", where)
            self.assertEqual({tool: counts["calls"] for tool, counts in answer["by_tool"].items()}, tools, what)
            for tool, counts in answer["by_tool"].items():
                for field in ["duration_ms", "result_chars"]:
                    values = f"SELECT {field} FROM ({self.calls}) WHERE ({where}) AND tool = '{tool}'"
                    self.near(counts[field], [value for (value,) in duckdb.sql(values).fetchall()], (*what, tool))

    def test_counts_and_quantiles_of_whole_days(self):
        days = [date.strftime("%Y-%m-%d") for date in self.dates]
        self.check_stats("rollup", "", "true")
        self.check_stats("rollup", "tool=fs.*", "tool LIKE 'fs.%'")
        self.check_stats("rollup", "status=error,denied", "status <> 'ok'")
        self.check_stats("rollup", "user=bob NOT status=ok", "\"user\" = 'bob' AND status <> 'ok'")
        self.check_stats("rollup", "tool=*_1 OR user=alice", "tool LIKE '%\\_1' ESCAPE '\\' OR \"user\" = 'alice'")
        where = f"ts >= '{days[2]}' AND ts < '{days[0]}'"
        self.check_stats("rollup", "", where, "--from", days[2], "--to", days[1])

    def test_counts_and_quantiles_of_other_questions(self):
        day = self.dates[1].strftime("%Y-%m-%d")
        where = f"ts >= '{day} 05:00:00' AND ts < '{day} 17:00:00'"
        self.check_stats("rollup", "", where, "--from", f"{day}T05:00:00Z", "--to", f"{day}T17:00:00Z")
        where = f"ts >= '{day} 05:20:11' AND ts < '{day} 17:40:00'"
        self.check_stats("both", "", where, "--from", f"{day}T05:20:11Z", "--to", f"{day}T17:40:00Z")
        self.check_stats("both", "session=s-3 status=error", "session = 's-3' AND status = 'error'")
        self.check_stats("both", "duration>200ms", "duration_ms > 200")

    def test_series(self):
        begin = self.dates[-1].strftime("%Y-%m-%d")
        for by, bucket in [("hour", "hour"), ("day", "day")]:
            for answer in self.both("rollup", "stats", "--by", by, "--from", begin):
                query = f"""SELECT strftime(date_trunc('{bucket}', ts), '%Y-%m-%dT%H:%M:%S.000Z'), count(*),
                    count(*) FILTER (status = 'error'), count(*) FILTER (status = 'denied'), list(duration_ms)
                    FROM ({self.calls}) GROUP BY 1"""
                expected = {row[0]: row[1:] for row in duckdb.sql(query).fetchall()}
                found = {bucket["start"]: bucket for bucket in answer["buckets"] if bucket["calls"]}
                self.assertEqual(found.keys(), expected.keys())
                for start, (calls, errors, denied, took) in expected.items():
                    counts = found[start]
                    self.assertEqual((counts["calls"], counts["errors"], counts["denied"]), (calls, errors, denied))
                    self.near(counts["duration_ms"], took, start)

    def test_sessions(self):
        query = f"""SELECT "user", session, count(*), count(*) FILTER (status = 'error'),
            count(*) FILTER (status = 'denied') FROM ({self.calls}) GROUP BY ALL"""
        expected = {row[:2]: row[2:] for row in duckdb.sql(query).fetchall()}
        for answer in self.both("rollup", "sessions", "-n", "1000"):
            found = {
                (session["user"], session["session"]): (session["calls"], session["errors"], session["denied"])
                for session in answer["sessions"]
            }
            self.assertEqual((found, answer["total"]), (expected, len(expected)), answer["source"])


if __name__ == "__main__":
    unittest.main()
