"""`qemu-img`, as a child that is told exactly what to open, and may do little else.

What it opens is said in full (driver, node, file), so that no name of a file is taken for a protocol, and no format is
guessed. An image comes from a stranger: its reader has limits of memory and time, and may write no file; and it never
outlives who started it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from store.core.errors import InvalidError, NotFoundError, RetryableError

PROGRAM: Final = "qemu-img"
MEMORY_BYTES: Final = 1 << 30
"""Of address space, to look at an image."""
COPY_MEMORY_BYTES: Final = 8 << 30
"""The same, to copy one: its threads have stacks."""
INSPECT_SECONDS: Final = 60
"""Of computing, for an image that is only looked at."""
SAID_MAX: Final = 2000
_PROGRESS: Final = re.compile(rb"\(\s*([0-9]+(?:\.[0-9]+)?)/100%\)")

_ENDS_WITH_PARENT: Final = ("setpriv", "--pdeathsig", "KILL", "--")
"""Of util-linux, as prlimit is."""

Node = Mapping[str, Any]
"""What QEMU is to open, as its `blockdev-add` has it."""
Progress = Callable[[float], None]
"""Is told how much is done, of 1."""


def nbd_node(socket: str, export: str) -> Node:
    """A disk that is served at a Unix socket."""
    return {"driver": "raw", "file": {"driver": "nbd", "server": {"type": "unix", "path": socket}, "export": export}}


def file_node(path: str, format_: str) -> Node:
    """An image in a file, and nothing besides."""
    node: dict[str, Any] = {"driver": format_, "file": {"driver": "file", "filename": path}}
    return {**node, "backing": None} if format_ == "qcow2" else node


def inspect(path: str, format_: str, descriptor: int) -> int:
    """How many bytes the disk has whose image is open at `descriptor`, as QEMU has it; `path` is what the image is
    called. Raises InvalidError where it needs other files or a key, or is none of this format; NotFoundError where
    there is no qemu-img."""
    command = ["info", "--output=json", _said(file_node(f"/proc/self/fd/{descriptor}", format_))]
    limits = _limits(cpu_seconds=INSPECT_SECONDS, writes_files=False)
    with _started(command, limits, (descriptor,), errors=subprocess.PIPE) as process:
        said, error = process.communicate()
    if process.returncode:
        why = _why(error, process.returncode).replace(f"/proc/self/fd/{descriptor}", path)
        raise InvalidError(f"{path} is not read as {format_}: {why}")
    info = json.loads(said)
    _check_alone(info)
    return int(info["virtual-size"])


def _check_alone(info: Mapping[str, Any]) -> None:
    if "backing-filename" in info:
        raise InvalidError("the image has a backing file, which is not read: make it whole first")
    if info.get("encrypted"):
        raise InvalidError("the image is encrypted: decrypt it first")
    special = info.get("format-specific", {}).get("data", {})
    if "data-file" in special or len(special.get("extents", ())) > 1:
        raise InvalidError("the image has its data in other files, which are not read: make it whole first")


def image_to_disk(path: str, format_: str, descriptor: int, folder: str, disk: Node, progress: Progress) -> None:
    """Copy an image, as of `inspect`, to a disk of zeros that is as large or larger. The socket of the disk is relative
    to `folder`. What was written is not flushed. Raises RetryableError, NotFoundError where there is no qemu-img."""
    source = _said(file_node(f"/proc/self/fd/{descriptor}", format_))
    command = ["convert", "-p", "-n", "--target-is-zero", "-W", "-O", "raw", source, _said(disk)]
    limits = _limits(memory_bytes=COPY_MEMORY_BYTES, writes_files=False)
    with _started(command, limits, (descriptor,), folder) as process:
        _wait(process, path, progress)


def disk_to_image(folder: str, disk: Node, path: str, format_: str, progress: Progress) -> None:
    """Copy a disk to a file, which is there; `path` is absolute. The file has no room for what is zeros. It is not
    synced. Raises RetryableError, NotFoundError where there is no qemu-img."""
    if not os.path.isabs(path):
        raise ValueError("a relative path may be taken for a protocol")
    command = ["convert", "-p", "-W", "-O", format_, _said(disk), path]
    with _started(command, _limits(memory_bytes=COPY_MEMORY_BYTES), (), folder) as process:
        _wait(process, path, progress)


def _wait(process: subprocess.Popen[bytes], path: str, progress: Progress) -> None:
    """Until all is copied from or to a file. Raises RetryableError."""
    assert process.stdout is not None
    said = b""
    while part := os.read(process.stdout.fileno(), 1 << 16):
        said = (said + part)[-SAID_MAX:]
        if found := _PROGRESS.findall(said):
            progress(float(found[-1]) / 100)
    if process.wait():
        raise RetryableError(f"{path} is not copied: {_why(said, process.returncode)}")


def _said(node: Node) -> str:
    """The whole of it is ours: a name in it is only a name."""
    return f"json:{json.dumps(node)}"


def _why(said: bytes, code: int) -> str:
    """The last line that it said, without what we said to it."""
    if code < 0:
        return f"qemu-img was ended by {signal.Signals(-code).name}"
    lines = _PROGRESS.sub(b"", said).decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), f"it ended with {code}")
    return re.sub(r"json:\{.*\}'?: ", "", last)


@contextmanager
def _started(
    arguments: list[str],
    limits: list[str],
    descriptors: tuple[int, ...],
    folder: str | None = None,
    errors: int = subprocess.STDOUT,
) -> Iterator[subprocess.Popen[bytes]]:
    """It is gone when this ends."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise NotFoundError("qemu-img is not installed, which reads and writes disk images: apt-get install qemu-utils")
    process = subprocess.Popen(
        [*_ENDS_WITH_PARENT, "prlimit", *limits, program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        pass_fds=descriptors,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        start_new_session=True,  # Ctrl-C in a terminal is for us, who end it
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _limits(
    *, memory_bytes: int = MEMORY_BYTES, cpu_seconds: int | None = None, writes_files: bool = True
) -> list[str]:
    """How prlimit is told what the child may have: no core dump, which would have parts of the disk in it."""
    limits = [f"--as={memory_bytes}", "--core=0"]
    if cpu_seconds is not None:
        limits.append(f"--cpu={cpu_seconds}")
    if not writes_files:
        limits.append("--fsize=0")
    return limits
