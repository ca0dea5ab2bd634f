"""The folder of a user: an injective encoding of the id, safe on any file system."""

import hashlib
import re
from typing import Callable, List, Optional, Sequence

# Our own folder below the home.
OWN_FOLDER = ".tooltrail"

# The user of entries that belong to nobody else.
SYSTEM_USER = "_system"

# Longest encoded name; beyond it the name is cut and a hash follows.
FOLDER_BYTES_MAX = 200
FOLDER_BYTES_KEPT = 100

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")


def folder_of(user: str) -> str:
    """Returns the folder of an id: `[a-z0-9_-]` stand for themselves, every other byte is `%XX`."""
    # Half a surrogate pair is recorded as its spelling.
    id_bytes = user.encode("utf-8", "backslashreplace")
    encoded = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in id_bytes)
    if len(encoded) <= FOLDER_BYTES_MAX:
        return encoded
    # At a whole escape: one that begins in the last two places is left out.
    kept = re.sub("%.?$", "", encoded[:FOLDER_BYTES_KEPT])
    return f"{kept}.{hashlib.sha256(id_bytes).hexdigest()}"


def user_of(folder: str) -> Optional[str]:
    """Returns the id that a folder stands for, `None` where the name is no canonical encoding of one."""
    if folder == "%5Fsystem":
        return SYSTEM_USER
    if not re.fullmatch("(?:[a-z0-9_-]|%[0-9A-F]{2})+", folder):
        return None
    escapes = re.sub("%(..)", lambda escape: chr(int(escape[1], 16)), folder)
    try:
        user = escapes.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return None
    return user if folder_of(user) == folder else None


def is_text(name: str) -> bool:
    """Whether a name is UTF-8; nobody's folder is called otherwise."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def folders_of(user: str, all_names: Callable[[], Sequence[str]]) -> List[str]:
    """Returns the names that the folders of an id can have; `all_names` lists the home where that must be asked."""
    names = {folder_of(user)}
    if user == SYSTEM_USER:
        names |= {"%5Fsystem", user}
    # The seed's folders are the bare ids; one that is another user's encoding is that user's.
    if user_of(user) is None and user not in (".", "..") and not set(user) & {"/", "\0"} and is_text(user):
        names.add(user)
    # An id that held a secret is known by its redacted text alone.
    if "[" in user:
        names |= {name for name in all_names() if name.startswith(f"{folder_of(user)}.")}
    return sorted(names - {OWN_FOLDER, ""})
