"""`qemu-img`, as a child that is told exactly what to open, and may do little else.

What it opens is said in full (driver, node, file), so that no name of a file is taken for a protocol, and no format is
guessed. An image comes from a stranger: its reader is confined, and never outlives who started it.

Images that are files are looked at and copied here; those that are stored, in `seal` and `export`.
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
from dataclasses import replace
from typing import Any, Final

from image_registry.conversion.confinement import COPY, LOOK, Limits, confined
from store.core.errors import InvalidError, NotFoundError, RetryableError

PROGRAM: Final = "qemu-img"
SAID_MAX: Final = 2000
_PROGRESS: Final = re.compile(rb"\(\s*([0-9]+(?:\.[0-9]+)?)/100%\)")
_WITH_BACKING: Final = ("qcow2", "vmdk")
"""Formats of which is to be said that there is none."""

Node = Mapping[str, Any]
"""What QEMU is to open, as its `blockdev-add` has it."""
Progress = Callable[[float], None]
"""Is told how much is done, of 1."""


def nbd_node(socket: str, export: str) -> Node:
    """A disk that is served at a Unix socket."""
    return {"driver": "raw", "file": {"driver": "nbd", "server": {"type": "unix", "path": socket}, "export": export}}


def file_node(path: str, format_: str) -> Node:
    """An image in a file, and nothing besides."""
    return _image_node({"driver": "file", "filename": path}, format_)


def nbd_image_node(socket: str, export: str, format_: str) -> Node:
    """An image in what is served at a Unix socket, and nothing besides."""
    return _image_node(
        {"driver": "nbd", "server": {"type": "unix", "path": socket}, "export": export, "read-only": True}, format_
    )


def _image_node(file: Node, format_: str) -> Node:
    node: dict[str, Any] = {"driver": format_, "file": file}
    return {**node, "backing": None} if format_ in _WITH_BACKING else node


def program() -> str:
    """Where it is. Raises NotFoundError."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise NotFoundError("qemu-img is not installed, which reads and writes disk images: apt-get install qemu-utils")
    return found


def info_command(node: Node) -> list[str]:
    return [program(), "info", "--output=json", _said(node)]


def convert_command(source: Node, target: Node) -> list[str]:
    """To a disk of zeros that is as large or larger."""
    return [program(), "convert", "-p", "-n", "--target-is-zero", "-W", "-O", "raw", _said(source), _said(target)]


def create_command(source: Node, path: str, format_: str, options: str = "") -> list[str]:
    """To an image in the file at an absolute path."""
    if not os.path.isabs(path):
        raise ValueError("a relative path may be taken for a protocol")
    special = ["-o", options] if options else []
    return [program(), "convert", "-p", "-W", "-O", format_, *special, _said(source), path]


def disk_size(said: bytes) -> int:
    """Bytes of the disk, of what `info_command` said. Raises InvalidError where the image needs other files, or a
    key."""
    info = json.loads(said)
    _check_alone(info)
    return int(info["virtual-size"])


def progress_of(said: bytes) -> float | None:
    """How much is done, of 1, by the last that a copying command said of it."""
    found = _PROGRESS.findall(said)
    return float(found[-1]) / 100 if found else None


def inspect(path: str, format_: str, descriptor: int) -> int:
    """How many bytes the disk has whose image is open at `descriptor`, as QEMU has it; `path` is what the image is
    called. Raises InvalidError where it needs other files or a key, or is none of this format; NotFoundError where
    there is no qemu-img."""
    command = info_command(file_node(f"/proc/self/fd/{descriptor}", format_))
    with _started(command, LOOK, (descriptor,), errors=subprocess.PIPE) as process:
        said, error = process.communicate()
    if process.returncode:
        reason = why(error, process.returncode).replace(f"/proc/self/fd/{descriptor}", path)
        raise InvalidError(f"{path} is not read as {format_}: {reason}")
    return disk_size(said)


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
    command = convert_command(file_node(f"/proc/self/fd/{descriptor}", format_), disk)
    with _started(command, COPY, (descriptor,), folder) as process:
        _wait(process, path, progress)


def disk_to_image(folder: str, disk: Node, path: str, format_: str, progress: Progress) -> None:
    """Copy a disk to a file, which is there; `path` is absolute. The file has no room for what is zeros. It is not
    synced. Raises RetryableError, NotFoundError where there is no qemu-img."""
    with _started(create_command(disk, path, format_), replace(COPY, file_bytes=None), (), folder) as process:
        _wait(process, path, progress)


def _wait(process: subprocess.Popen[bytes], path: str, progress: Progress) -> None:
    """Until all is copied from or to a file. Raises RetryableError."""
    assert process.stdout is not None
    said = b""
    while part := os.read(process.stdout.fileno(), 1 << 16):
        said = (said + part)[-SAID_MAX:]
        if (part_done := progress_of(said)) is not None:
            progress(part_done)
    if process.wait():
        raise RetryableError(f"{path} is not copied: {why(said, process.returncode)}")


def _said(node: Node) -> str:
    """The whole of it is ours: a name in it is only a name."""
    return f"json:{json.dumps(node)}"


def why(said: bytes, code: int) -> str:
    """The last line that it said, without what we said to it."""
    if code < 0:
        return f"qemu-img was ended by {signal.Signals(-code).name}"
    lines = _PROGRESS.sub(b"", said).decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), f"it ended with {code}")
    return re.sub(r"json:\{.*\}'?: ", "", last)


@contextmanager
def _started(
    command: list[str],
    limits: Limits,
    descriptors: tuple[int, ...],
    folder: str | None = None,
    errors: int = subprocess.STDOUT,
) -> Iterator[subprocess.Popen[bytes]]:
    """It is gone when this ends."""
    process = subprocess.Popen(
        confined(command, limits),
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
