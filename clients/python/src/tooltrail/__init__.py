"""The audit trail of an orchestrator written in Python: record calls, read the newest entries.

    from tooltrail import audited, current_user, record, read_recent

`record` and `@audited` send to the service at `TOOLTRAIL_URL` with `TOOLTRAIL_TOKEN`, in the background;
`read_recent` and `read_recent_all_users` read the files below `TOOLTRAIL_HOME`.
"""

from tooltrail._audited import audited, current_user
from tooltrail._readers import read_recent, read_recent_all_users
from tooltrail._record import flush, record
from tooltrail._settings import TrailError

__all__ = [
    "TrailError",
    "audited",
    "current_user",
    "flush",
    "read_recent",
    "read_recent_all_users",
    "record",
]
