"""Reads the service's notes on how late lines of a day file are: a reader must read this far past its page."""

import os
from datetime import date
from typing import Dict, Optional, Tuple

from tooltrail import _files
from tooltrail._folders import OWN_FOLDER

# How late a line may be without a note: entries that arrive together are written in the order of their queue, and the
# queue holds far less than a minute of entries.
LATE_MS = 60_000

# The largest possible lateness: a file holds one day, in any zone.
LATE_MS_MAX = 3 * 86_400_000

# Most bytes that are read of the notes of one date: enough for tens of thousands of users with late lines on one day.
NOTES_BYTES_MAX = 16 << 20


class Notes:
    """The notes of a home; the notes of a date are read when they are needed, and again when they have changed."""

    def __init__(self, home: int) -> None:
        self._home = home
        self._known: Dict[date, Tuple[object, Dict[str, int]]] = {}

    def late_ms(self, day: date, folder: str) -> int:
        """Returns how late lines may be in a folder's file, in milliseconds. The file must have been opened before.

        The note of a late line is written before the line, so the note must be read after the file was opened.
        """
        version = self._version(day)
        known = self._known.get(day)
        if known is None or known[0] != version:
            known = version, {} if version is None else self._read(day)
            self._known[day] = known
        return known[1].get(folder, LATE_MS)

    def _version(self, day: date) -> Optional[Tuple[int, ...]]:
        try:
            found = os.stat(f"{OWN_FOLDER}/late/{day.isoformat()}", dir_fd=self._home, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _read(self, day: date) -> Dict[str, int]:
        text = _files.beginning(self._home, (OWN_FOLDER, "late", day.isoformat()), NOTES_BYTES_MAX) or b""
        notes: Dict[str, int] = {}
        for line in text.decode("utf-8", "replace").splitlines():
            folder, _, late = line.rpartition(" ")
            if late.isascii() and late.isdigit() and len(late) < 12 and LATE_MS <= int(late) <= LATE_MS_MAX:
                notes[folder] = int(late)
        return notes
