"""Temporary file systems in a file or in memory, and simulated power cuts."""

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from place import Skip

# The ioctl that shuts a file system down (EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN), and its flag that skips the log flush.
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2

# Sizes of the image files. That of XFS is the smallest that mkfs.xfs accepts. The files are sparse.
IMAGE_BYTES = {"ext4": 64 << 20, "xfs": 320 << 20}


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")


def needs_root():
    if os.geteuid() != 0:
        raise Skip("mounting needs root")


class Image:
    """A file system in a file, mounted through a loop device."""

    def __init__(self, kind, size=None, make=(), mount=()):
        needs_root()
        if not shutil.which(f"mkfs.{kind}"):
            raise Skip(f"mkfs.{kind} is not installed")
        self.kind, self.mount_options = kind, list(mount)
        self.folder = Path(tempfile.mkdtemp(prefix="tooltrail-disk-"))
        self.image, self.path = self.folder / "image", self.folder / "mounted"
        self.path.mkdir()
        # A process with its own mount namespace must see the unmount, or it would keep the dead file system mounted.
        run("mount", "--bind", str(self.folder), str(self.folder))
        run("mount", "--make-shared", str(self.folder))
        with open(self.image, "wb") as image:
            image.truncate(size or IMAGE_BYTES[kind])
        run(f"mkfs.{kind}", "-q", *(["-F"] if kind == "ext4" else []), *make, str(self.image))
        try:
            self.mount()
        except OSError as error:
            self.__exit__()
            raise Skip(f"no {kind} can be mounted: {error}") from None

    def mount(self):
        run("mount", "-t", self.kind, "-o", ",".join(["loop", *self.mount_options]), str(self.image), str(self.path))

    def unmount(self):
        run("umount", str(self.path))

    def cut_power(self):
        """Simulates a power cut: from now on nothing reaches the disk, and every call fails."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for path in (self.path, self.folder):
            subprocess.run(["umount", "-l", str(path)], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Memory:
    """A small file system in memory, of an exact size."""

    def __init__(self, size, inodes=0):
        needs_root()
        self.path = Path(tempfile.mkdtemp(prefix="tooltrail-memory-"))
        options = f"size={size}" + (f",nr_inodes={inodes}" if inodes else "")
        run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path))

    def free(self):
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def fill(self, leave=0):
        """Fills the file system except for `leave` bytes; returns the file that fills it."""
        filler = self.path / "filler"
        size = max(self.free() - leave, 0) // 4096 * 4096
        with open(filler, "wb", buffering=0) as file:
            # Page by page, because other processes may use free space at the same time.
            with contextlib.suppress(OSError):
                for _ in range(max(size, 1) // 4096):
                    file.write(bytes(4096))
        return filler

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", str(self.path)], capture_output=True)
        self.path.rmdir()
