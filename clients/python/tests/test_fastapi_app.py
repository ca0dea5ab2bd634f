"""Tests of the example: admins read the trail through an application that checks their session."""

import os
import sys
import unittest
from pathlib import Path
from unittest import mock

from support import WithTrail, wait_until

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

import fastapi_app
from fastapi.testclient import TestClient
from fastapi_app import Session

import tooltrail


class Example(WithTrail):
    def setUp(self) -> None:
        super().setUp()
        os.environ["TOOLTRAIL_ADMIN_TOKEN"] = self.trail.admin
        patch = mock.patch.dict(
            fastapi_app.sessions, {"s-admin": Session("root", "admin"), "s-alice": Session("alice", "user")}
        )
        patch.start()
        self.addCleanup(patch.stop)

    def client(self, session: "str | None") -> TestClient:
        return TestClient(fastapi_app.app, cookies={"session": session} if session else {})

    def test_only_admins_get_in(self) -> None:
        for what in ("recent", "stats"):
            for session, status in ((None, 401), ("s-none", 401), ("s-alice", 403), ("s-admin", 200)):
                self.assertEqual(self.client(session).get(f"/api/audit/{what}").status_code, status, (what, session))

    def test_an_audited_tool_is_in_the_answers(self) -> None:
        self.assertEqual(self.client(None).post("/tools/add?a=1&b=2").status_code, 401)
        self.assertEqual(self.client("s-alice").post("/tools/add?a=1&b=2").json(), {"result": 3})
        self.assertTrue(tooltrail.flush(30))
        admin = self.client("s-admin")
        recent = admin.get("/api/audit/recent", params={"user": "alice", "days": 1, "limit": 10, "q": "tool=math.*"})
        self.assertEqual(recent.headers["content-type"], "application/json")
        [entry] = recent.json()["entries"]
        self.assertEqual((entry["user"], entry["tool"], entry["args"]), ("alice", "math.add", {"a": 1.0, "b": 2.0}))
        stats = admin.get("/api/audit/stats?user=alice&days=7").json()
        self.assertEqual(stats["by_status"], {"ok": 1, "error": 0, "denied": 0})

    def test_the_answers_of_the_service_are_passed_on(self) -> None:
        admin = self.client("s-admin")
        for query in ("days=0", "limit=1001", "days=7&days=7", "unknown=1", "user=%00"):
            refused = admin.get(f"/api/audit/recent?{query}")
            self.assertEqual(refused.status_code, 400, query)
            self.assertEqual(refused.headers["content-type"], "application/problem+json")

    def test_a_fault_of_the_application_is_not_the_admins(self) -> None:
        os.environ["TOOLTRAIL_ADMIN_TOKEN"] = self.trail.ingest
        self.assertEqual(self.client("s-admin").get("/api/audit/recent").status_code, 502)
        os.environ["TOOLTRAIL_ADMIN_TOKEN"] = "wrong"
        self.assertEqual(self.client("s-admin").get("/api/audit/recent").status_code, 502)
        self.trail.stop()
        self.assertEqual(self.client("s-admin").get("/api/audit/recent").status_code, 502)


if __name__ == "__main__":
    unittest.main()
