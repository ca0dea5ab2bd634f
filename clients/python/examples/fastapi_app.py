"""An orchestrator with an audited tool; its admins read the trail at two endpoints of this application.

The two endpoints forward to the service: this application decides who is an admin, and the service answers. The
service's token stays in this process and is never sent to a browser.

    export TOOLTRAIL_ADMIN_TOKEN=$(tooltrail token add page --role admin)
    export TOOLTRAIL_TOKEN=$(tooltrail token add app --role ingest)
    DEMO_SESSIONS=1 PYTHONPATH=src:examples uvicorn fastapi_app:app

With DEMO_SESSIONS=1, the cookies `session=demo-admin` and `session=demo-alice` are signed in, so that you can try it.
"""

import http.client
import os
from typing import Annotated, Any, Dict, NamedTuple, Optional
from urllib.parse import urlsplit

from fastapi import APIRouter, Cookie, Depends, FastAPI, HTTPException, Request, Response

from tooltrail import audited, current_user

# Longest wait for the service, which limits its own work to five seconds.
SERVICE_WAIT_S = 10.0


class Session(NamedTuple):
    """A signed-in user."""

    user: str
    role: str


# Replace this table with your own sessions. The demo sessions are only for trying the example.
sessions: Dict[str, Session] = {}
if os.environ.get("DEMO_SESSIONS") == "1":
    sessions["demo-admin"] = Session("root", "admin")
    sessions["demo-alice"] = Session("alice", "user")


def signed_in(session: Annotated[Optional[str], Cookie()] = None) -> Session:
    """Returns the user of the cookie `session`; 401 if the cookie is missing or not valid."""
    if session is None:
        raise HTTPException(401, "sign in first")
    found = sessions.get(session)
    if found is None:
        raise HTTPException(401, "this session is not valid")
    return found


def admin(session: Annotated[Session, Depends(signed_in)]) -> Session:
    """Returns the session if its user is an admin; 403 for every other role."""
    if session.role != "admin":
        raise HTTPException(403, "only admins read the trail")
    return session


audit = APIRouter(prefix="/api/audit", dependencies=[Depends(admin)])


# Not `async`: the framework runs these functions on a thread, so waiting for the service does not block other requests.
@audit.get("/recent")
def recent(request: Request) -> Response:
    """The newest entries: `user`, `days`, `limit`, `q`, `cursor`."""
    return _ask("recent", request)


@audit.get("/stats")
def stats(request: Request) -> Response:
    """Counts and quantiles: `user`, `days`, `q`."""
    return _ask("stats", request)


def _ask(what: str, request: Request) -> Response:
    """Asks the service the same question and returns its answer unchanged."""
    url = urlsplit(os.environ.get("TOOLTRAIL_URL") or "http://127.0.0.1:7420")
    connect = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    service = connect(url.hostname or "127.0.0.1", url.port, timeout=SERVICE_WAIT_S)
    try:
        token = os.environ.get("TOOLTRAIL_ADMIN_TOKEN", "").strip()
        query = f"?{request.url.query}" if request.url.query else ""
        service.request(
            "GET", f"{url.path.rstrip('/')}/api/audit/{what}{query}", headers={"Authorization": f"Bearer {token}"}
        )
        answer = service.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        raise HTTPException(502, "the trail's service cannot be reached") from None
    finally:
        service.close()
    if answer.status in (401, 403):
        # The token of this application is wrong; this is not an error of the admin.
        raise HTTPException(502, "the trail's service does not accept TOOLTRAIL_ADMIN_TOKEN")
    kept = ("Content-Type", "Retry-After")
    headers = {name: value for name in kept if (value := answer.getheader(name)) is not None}
    return Response(body, answer.status, {**headers, "Cache-Control": "no-store"})


@audited(tool="math.add")
async def add(a: float, b: float) -> float:
    """A tool."""
    return a + b


app = FastAPI()
app.include_router(audit)


@app.post("/tools/add")
async def call_add(session: Annotated[Session, Depends(signed_in)], a: float, b: float) -> Dict[str, Any]:
    """Calls the tool for the signed-in user."""
    current_user.set(session.user)
    return {"result": await add(a, b)}
