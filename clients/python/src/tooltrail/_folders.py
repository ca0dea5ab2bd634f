"""Converts a user's id to a folder name and back; the encoding is injective and safe on any file system."""

import hashlib
import re
from typing import Callable, List, Optional, Sequence

# tooltrail's own folder below the home.
OWN_FOLDER = ".tooltrail"

# The user of entries that belong to no other user.
SYSTEM_USER = "_system"

# Longest encoded name in bytes; a longer name is cut, and a hash is appended.
FOLDER_BYTES_MAX = 200
FOLDER_BYTES_KEPT = 100

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")


def folder_of(user: str) -> str:
    """Returns the folder name of an id: `[a-z0-9_-]` stay, every other byte becomes `%XX`."""
    # Half a surrogate pair is recorded as its escape.
    id_bytes = user.encode("utf-8", "backslashreplace")
    encoded = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in id_bytes)
    if len(encoded) <= FOLDER_BYTES_MAX:
        return encoded
    # Do not split an escape: if one begins in the last two bytes, it is left out.
    kept = re.sub("%.?$", "", encoded[:FOLDER_BYTES_KEPT])
    return f"{kept}.{hashlib.sha256(id_bytes).hexdigest()}"


def user_of(folder: str) -> Optional[str]:
    """Returns the id of a folder name, or `None` if the name is not the canonical encoding of an id."""
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
    """Returns whether a name is valid UTF-8; every user's folder name is."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def folders_of(user: str, all_names: Callable[[], Sequence[str]]) -> List[str]:
    """Returns the possible folder names of an id; `all_names` lists the home and is called only if needed."""
    names = {folder_of(user)}
    if user == SYSTEM_USER:
        names |= {"%5Fsystem", user}
    # Folders of the seed have the plain id as name. If that name is the encoding of another id, it belongs to that id.
    if user_of(user) is None and user not in (".", "..") and not set(user) & {"/", "\0"} and is_text(user):
        names.add(user)
    # Of an id that held a secret, only the redacted text is known.
    if "[" in user:
        names |= {name for name in all_names() if name.startswith(f"{folder_of(user)}.")}
    return sorted(names - {OWN_FOLDER, ""})
