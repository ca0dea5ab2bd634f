"""The audit trail of an orchestrator written in Python: record calls, read the newest entries.

    from tooltrail import audited, current_user, record, read_recent

`record` and `@audited` send to the service at `TOOLTRAIL_URL` with `TOOLTRAIL_TOKEN`, in the background;
`read_recent` and `read_recent_all_users` read the files below `TOOLTRAIL_HOME`; `query`, `query_all` and `stats` ask
the service, with `TOOLTRAIL_READ_TOKEN`.
"""

from tooltrail._audited import audited, current_user
from tooltrail._query import Page, query, query_all, stats
from tooltrail._readers import read_recent, read_recent_all_users
from tooltrail._record import flush, record, record_now
from tooltrail._settings import TrailError

__version__ = "0.1.0"

__all__ = [
    "Page",
    "TrailError",
    "__version__",
    "audited",
    "current_user",
    "flush",
    "query",
    "query_all",
    "read_recent",
    "read_recent_all_users",
    "record",
    "record_now",
    "stats",
]
