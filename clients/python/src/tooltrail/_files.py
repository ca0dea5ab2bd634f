"""The files below the home: folder first, then below it, no links, regular files only, from the end in blocks."""

import errno
import os
import stat
from contextlib import contextmanager
from typing import Iterator, List, Optional, Sequence, Tuple

from tooltrail._folders import OWN_FOLDER, is_text
from tooltrail._settings import TrailError

# First block: enough for the newest few lines of a file that may not be needed at all.
BLOCK_BYTES_FIRST = 8 * 1024

# Largest block: above it a read costs what its bytes cost.
BLOCK_BYTES = 128 * 1024

# Longest line that is read: a thousand times what is written, and still held in memory with ease.
LINE_BYTES_MAX = 64 * 1024 * 1024

# The newest layout that this version reads.
FORMAT = b"1"

# A name that must not pass for missing: not being allowed to look, or having no descriptor left.
_ERRNOS_LOUD = frozenset((errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO))

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

# NONBLOCK: opening a FIFO that stands under the name must not hang.
_FILE_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def opened_home(path: "os.PathLike[str]") -> Iterator[int]:
    """Opens the home, which may be a link itself. Raises `TrailError` if it is missing or a newer version's."""
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
    """Returns the names of the folders, or of what is none, in a folder below the home; of a missing one none."""
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
    """Yields a file's whole lines with their offsets, a block at a time, each and all from the last to the first.

    Bytes after the last newline are no line yet. The file is opened anew for each block, so that thousands can be
    under way; one that was replaced or cut meanwhile ends where that is noticed.
    """
    base, identity = _look(home, path)
    size, rest, started = BLOCK_BYTES_FIRST, b"", False
    while base > 0:
        # A long line doubles the block, so that moving it costs no more than reading it.
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
            # Nobody needs the bytes of a line too long, only where it begins.
            rest, started = b"", False
        yield lines


def beginning(home: int, path: Sequence[str], bytes_max: int) -> Optional[bytes]:
    """Returns the first bytes of a file below the home, `None` if it is missing."""
    opened = _open(home, path, _FILE_FLAGS)
    if opened is None:
        return None
    with open(opened, "rb") as file:
        return file.read(bytes_max)


def _look(home: int, path: Sequence[str]) -> Tuple[int, Tuple[int, int]]:
    """Returns a file's length and identity; a missing one is empty."""
    opened = _open(home, path, _FILE_FLAGS)
    if opened is None:
        return 0, (0, 0)
    try:
        found = os.fstat(opened)
        return (found.st_size if stat.S_ISREG(found.st_mode) else 0), (found.st_dev, found.st_ino)
    finally:
        os.close(opened)


def _read(home: int, path: Sequence[str], identity: Tuple[int, int], at: int, length: int) -> Optional[bytes]:
    """Returns bytes of a file, `None` if it is no longer the one that it was."""
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
    """Opens a path below the home, each name below the one before; `None` if no such thing is there but a link."""
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
