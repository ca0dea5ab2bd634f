"""Reads files below the home: each folder is opened below the one before, links are not followed, only regular files
are read, and they are read backwards in blocks.
"""

import errno
import os
import stat
from contextlib import contextmanager
from typing import Iterator, List, Optional, Sequence, Tuple

from tooltrail._folders import OWN_FOLDER, is_text
from tooltrail._settings import TrailError

# Size of the first block: enough for the newest few lines, because more of the file may not be needed.
BLOCK_BYTES_FIRST = 8 * 1024

# Size of the largest block; a larger block would not be cheaper for each byte.
BLOCK_BYTES = 128 * 1024

# Longest line that is read: a thousand times the longest line that is written, but still small enough for memory.
LINE_BYTES_MAX = 64 * 1024 * 1024

# The version of the home's layout that this module reads.
FORMAT = b"1"

# Errors that must be raised and must not look like a missing file: for example no permission, or no free descriptor.
_ERRNOS_LOUD = frozenset((errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO))

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

# NONBLOCK: if the name is a FIFO, opening it must not hang.
_FILE_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def opened_home(path: "os.PathLike[str]") -> Iterator[int]:
    """Opens the home, which may be a link. Raises `TrailError` if it is missing or written by a newer version."""
    try:
        home = os.open(path, _FOLDER_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        raise TrailError(f"{path} is no folder; TOOLTRAIL_HOME names the home that `tooltrail serve` uses") from None
    try:
        written = beginning(home, (OWN_FOLDER, "format"), 256)
        if written is not None and written.strip() != FORMAT:
            raise TrailError(f"{path} was written by a newer tooltrail; upgrade this module")
        yield home
    finally:
        os.close(home)


def names(home: int, folder: Sequence[str], folders: bool) -> List[str]:
    """Returns the names of the folders, or of everything else, in a folder below the home; nothing if it is missing."""
    opened = _open(home, folder, _FOLDER_FLAGS)
    if opened is None:
        return []
    try:
        with os.scandir(opened) as entries:
            wanted = (entry.name for entry in entries if entry.is_dir(follow_symlinks=False) == folders)
            return sorted(filter(is_text, wanted))
    finally:
        os.close(opened)


def blocks(home: int, path: Sequence[str]) -> Iterator[List[Tuple[int, bytes]]]:
    """Yields a file's complete lines with their offsets, one block at a time, from the last line to the first.

    Bytes after the last newline are not a line yet. The file is opened again for each block, so that thousands of
    files can be read at the same time. If the file was replaced or truncated in between, the iteration ends.
    """
    base, identity = _look(home, path)
    size, rest, started = BLOCK_BYTES_FIRST, b"", False
    while base > 0:
        # A long line doubles the block, so that copying the line costs no more than reading it.
        length = min(max(size, len(rest)), base)
        size = min(size * 4, BLOCK_BYTES)
        base -= length
        block = _read(home, path, identity, base, length)
        if block is None:
            return
        if not started:
            block = block[: block.rfind(b"\n") + 1]
            started = bool(block)
        block += rest
        start = block.find(b"\n") + 1 if base > 0 else 0
        lines, end = [], len(block) - 1
        while end >= start:
            newline = block.rfind(b"\n", start, end)
            begin = start if newline < 0 else newline + 1
            lines.append((base + begin, block[begin:end]))
            end = begin - 1
        rest = block[:start]
        if len(rest) > LINE_BYTES_MAX:
            # Drop the bytes of a line that is too long; only its start offset is needed.
            rest, started = b"", False
        yield lines


def beginning(home: int, path: Sequence[str], bytes_max: int) -> Optional[bytes]:
    """Returns the first bytes of a file below the home, or `None` if the file is missing."""
    opened = _open(home, path, _FILE_FLAGS)
    if opened is None:
        return None
    with open(opened, "rb") as file:
        return file.read(bytes_max)


def _look(home: int, path: Sequence[str]) -> Tuple[int, Tuple[int, int]]:
    """Returns a file's length and its device and inode; a missing file has length 0."""
    opened = _open(home, path, _FILE_FLAGS)
    if opened is None:
        return 0, (0, 0)
    try:
        found = os.fstat(opened)
        return (found.st_size if stat.S_ISREG(found.st_mode) else 0), (found.st_dev, found.st_ino)
    finally:
        os.close(opened)


def _read(home: int, path: Sequence[str], identity: Tuple[int, int], at: int, length: int) -> Optional[bytes]:
    """Returns bytes of a file, or `None` if the file was replaced or truncated."""
    opened = _open(home, path, _FILE_FLAGS)
    if opened is None:
        return None
    try:
        found = os.fstat(opened)
        if (found.st_dev, found.st_ino) != identity:
            return None
        pieces, missing = [], length
        while missing:
            piece = os.pread(opened, missing, at + length - missing)
            if not piece:
                return None
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)
    finally:
        os.close(opened)


def _open(home: int, path: Sequence[str], flags: int) -> Optional[int]:
    """Opens a path below the home, each name below the one before; `None` if it is missing or a part is a link."""
    here = os.dup(home)
    try:
        for place, name in enumerate(path):
            last = place + 1 == len(path)
            below = os.open(name, (flags if last else _FOLDER_FLAGS) | _NO_LINK, dir_fd=here)
            os.close(here)
            here = below
    except OSError as error:
        os.close(here)
        if error.errno in _ERRNOS_LOUD:
            raise
        return None
    except BaseException:
        os.close(here)
        raise
    return here
