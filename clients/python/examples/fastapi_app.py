"""An orchestrator with an audited tool, whose admins read the trail at the two addresses that they know.

The trail's endpoints are a proxy: this application decides who is an admin, the service answers. The service's token
stays here; a browser never sees it.

    export TOOLTRAIL_ADMIN_TOKEN=$(tooltrail token add page --role admin)
    export TOOLTRAIL_TOKEN=$(tooltrail token add app --role ingest)
    DEMO_SESSIONS=1 PYTHONPATH=src:examples uvicorn fastapi_app:app

With DEMO_SESSIONS=1 the cookies `session=demo-admin` and `session=demo-alice` are signed in, to try it.
"""

import http.client
import os
from typing import Annotated, Any, Dict, NamedTuple, Optional
from urllib.parse import urlsplit

from fastapi import APIRouter, Cookie, Depends, FastAPI, HTTPException, Request, Response

from tooltrail import audited, current_user

# Longest wait for the service: it bounds its own work to five seconds.
SERVICE_WAIT_S = 10.0


class Session(NamedTuple):
    """Whoever signed in."""

    user: str
    role: str


# Put your own sessions here: this table stands for them. Those of the demo are for whoever tries the example.
sessions: Dict[str, Session] = {}
if os.environ.get("DEMO_SESSIONS") == "1":
    sessions["demo-admin"] = Session("root", "admin")
    sessions["demo-alice"] = Session("alice", "user")


def signed_in(session: Annotated[Optional[str], Cookie()] = None) -> Session:
    """Returns whoever sent the cookie `session`; 401 without one and for one that is not valid."""
    if session is None:
        raise HTTPException(401, "sign in first")
    found = sessions.get(session)
    if found is None:
        raise HTTPException(401, "this session is not valid")
    return found


def admin(session: Annotated[Session, Depends(signed_in)]) -> Session:
    """Returns an admin; 403 for every other role."""
    if session.role != "admin":
        raise HTTPException(403, "only admins read the trail")
    return session


audit = APIRouter(prefix="/api/audit", dependencies=[Depends(admin)])


# Plain functions: the framework runs them on a thread, so that waiting for the service holds up nobody else.
@audit.get("/recent")
def recent(request: Request) -> Response:
    """The newest entries: `user`, `days`, `limit`, `q`, `cursor`."""
    return _ask("recent", request)


@audit.get("/stats")
def stats(request: Request) -> Response:
    """Counts and quantiles: `user`, `days`, `q`."""
    return _ask("stats", request)


def _ask(what: str, request: Request) -> Response:
    """Asks the service the same question and passes on its answer, as it stands."""
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
        # The token of this application is wrong; the admin did nothing.
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
    """Calls the tool for whoever signed in."""
    current_user.set(session.user)
    return {"result": await add(a, b)}
