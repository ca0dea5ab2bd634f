"""Settings from environment variables: the address of the service and the path of the home.

They are read at each use, so that a variable that is set after the import counts.
"""

import os
from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple, Optional
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

# The default address of `tooltrail serve`.
URL_DEFAULT = "http://127.0.0.1:7420"


class TrailError(RuntimeError):
    """The trail cannot be read or reached as configured; the text says what to change."""


class Service(NamedTuple):
    """The address of the service, and the token for it."""

    secure: bool
    host: str
    port: Optional[int]
    path: str
    token: str


def service() -> Service:
    """Returns the configured service. Raises `TrailError` if `TOOLTRAIL_URL` or `TOOLTRAIL_TOKEN` is not valid."""
    url = _variable("TOOLTRAIL_URL") or URL_DEFAULT
    hint = f"TOOLTRAIL_URL is no address such as {URL_DEFAULT}"
    if "://" not in url:
        raise TrailError(f"TOOLTRAIL_URL has no http:// or https:// in front, as in {URL_DEFAULT}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise TrailError(hint) from None
    if parts.scheme not in ("http", "https") or not host:
        raise TrailError(hint)
    token = _variable("TOOLTRAIL_TOKEN")
    if not (token.isascii() and token.isprintable()):
        raise TrailError("TOOLTRAIL_TOKEN is no token; `tooltrail token add NAME --role ingest` makes one")
    return Service(parts.scheme == "https", host, port, parts.path.rstrip("/"), token)


def home() -> Path:
    """Returns the path of the home; the folder need not exist."""
    named = _variable("TOOLTRAIL_HOME")
    if named:
        return Path(named)
    data = _variable("XDG_DATA_HOME")
    return (Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share") / "tooltrail"


def zone() -> Optional[tzinfo]:
    """Returns the zone for times without a zone; `None` means the system's. Raises `TrailError` if it is unknown."""
    name = _variable("TOOLTRAIL_ZONE")
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise TrailError(f"TOOLTRAIL_ZONE {name!r} is no known zone such as Europe/Berlin") from None


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()
