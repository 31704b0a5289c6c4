"""Small files: read only if they are regular ones, written whole and private; and a stamp that changes with them.

All of it blocks: for threads, or before the event loop serves anybody.
"""

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

MAX_FILE_BYTES = 16 * 1024 * 1024
"""What is read of a file at most, unless the reader says less."""

FileStamp = tuple[int, int, int] | None
"""Inode, time of change in nanoseconds, bytes; None where there is no file."""


def file_stamp(path: str | Path) -> FileStamp:
    """Changes when the file is written or replaced. Follows links: a mounted ConfigMap changes by a new link."""
    try:
        status = os.stat(path)  # three times as quick as Path's
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def read_file(path: Path, most: int = MAX_FILE_BYTES) -> tuple[bytes, os.stat_result]:
    """At most so many bytes of a regular file, and what the system says of it.

    Raises OSError, also for a FIFO, a socket or a device: reading those may wait for ever.
    """
    # O_NONBLOCK: else opening a FIFO would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, f"it is {_kind(status.st_mode)}, no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(most), status
    finally:
        os.close(descriptor)


def _kind(mode: int) -> str:
    return "a FIFO" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def is_private(status: os.stat_result) -> bool:
    """Whether it is ours and nobody else may read or write it. Windows has no such modes."""
    return os.name == "nt" or (status.st_uid == os.geteuid() and not status.st_mode & 0o077)


def write_private_file(path: Path, content: bytes) -> None:
    """Mode 0600, in a folder that is made with 0700 if there is none. It appears whole or not at all.

    Raises OSError, and leaves nothing behind then.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600, whatever the umask
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)  # else a crash may leave an empty file under the name
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
