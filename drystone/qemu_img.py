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
from typing import Any, Final, NamedTuple

from store.core.errors import InvalidError, NotFoundError, RetryableError

PROGRAM: Final = "qemu-img"
MEMORY_BYTES: Final = 1 << 30
"""Of address space, to look at an image."""
COPY_MEMORY_BYTES: Final = 8 << 30
"""The same, to copy one: its threads have stacks."""
INSPECT_SECONDS: Final = 60
"""Of computing, for an image that is only looked at."""
SAID_MAX: Final = 2000
_PROGRESS: Final = re.compile(r"\(\s*([0-9]+(?:\.[0-9]+)?)/100%\)")

_ENDS_WITH_PARENT: Final = ("setpriv", "--pdeathsig", "KILL")
"""Of util-linux, as prlimit is."""

Node = Mapping[str, Any]
"""What QEMU is to open, as its `blockdev-add` has it."""
Progress = Callable[[float], None]
"""Is told how much is done, of 1."""


class ImageInfo(NamedTuple):
    """What QEMU says of an image: `size` is that of the disk, in bytes."""

    size: int


def nbd_node(socket: str, export: str) -> Node:
    """A disk that is served at a Unix socket."""
    return {"driver": "raw", "file": {"driver": "nbd", "server": {"type": "unix", "path": socket}, "export": export}}


def file_node(path: str, format_: str) -> Node:
    """An image in a file, and nothing besides."""
    node: dict[str, Any] = {"driver": format_, "file": {"driver": "file", "filename": path}}
    return {**node, "backing": None} if format_ == "qcow2" else node


def inspect(path: str, format_: str, descriptor: int) -> ImageInfo:
    """What QEMU makes of the image that is open at `descriptor`; `path` is what it is called. Raises InvalidError where
    it needs other files or a key, or is none of this format; NotFoundError where there is no qemu-img."""
    command = ["info", "--output=json", _said(file_node(f"/proc/self/fd/{descriptor}", format_))]
    limits = _limits(cpu_seconds=INSPECT_SECONDS, writes_files=False)
    with _started(command, limits, (descriptor,)) as process:
        said, _ = process.communicate()
    if process.returncode:
        why = _why(said.decode(errors="replace"), descriptor, path)
        raise InvalidError(f"{path} is not read as {format_}: {why or _ended(process.returncode)}")
    info = json.loads(said)
    _check_alone(info)
    return ImageInfo(int(info["virtual-size"]))


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
        _copied(process, progress, lambda said: _why(said, descriptor, path))


def disk_to_image(folder: str, disk: Node, path: str, format_: str, progress: Progress) -> None:
    """Copy a disk to a file, which is there; `path` is absolute. The file has no room for what is zeros. It is not
    synced. Raises RetryableError, NotFoundError where there is no qemu-img."""
    if not os.path.isabs(path):
        raise ValueError("a relative path may be taken for a protocol")
    command = ["convert", "-p", "-W", "-O", format_, _said(disk), path]
    with _started(command, _limits(memory_bytes=COPY_MEMORY_BYTES), (), folder) as process:
        _copied(process, progress, lambda said: said)


def _copied(process: subprocess.Popen[bytes], progress: Progress, why: Callable[[str], str]) -> None:
    """Read what it says until it ends."""
    assert process.stdout is not None
    said = b""
    while part := os.read(process.stdout.fileno(), 1 << 16):
        said = (said + part)[-SAID_MAX:]
        if found := _PROGRESS.findall(said.decode(errors="replace")):
            progress(float(found[-1]) / 100)
    if process.wait():
        text = _PROGRESS.sub("", said.decode(errors="replace")).strip()
        raise RetryableError(f"it could not be copied: {why(text) or _ended(process.returncode)}")


def _said(node: Node) -> str:
    """The whole of it is ours: a name in it is only a name."""
    return f"json:{json.dumps(node)}"


def _why(said: str, descriptor: int, path: str) -> str:
    """With the name that the image has for who typed it, and without that of the node."""
    last = said.strip().splitlines()[-1:] or [""]
    return re.sub(r"json:\{.*\}: |qemu-img: ", "", last[0]).replace(f"/proc/self/fd/{descriptor}", path).strip("': ")


def _ended(code: int) -> str:
    return f"qemu-img was ended by {signal.Signals(-code).name}" if code < 0 else f"qemu-img ended with {code}"


@contextmanager
def _started(
    arguments: list[str], limits: list[str], descriptors: tuple[int, ...], folder: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """It is gone when this ends."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise NotFoundError("qemu-img is not installed, which reads and writes disk images: apt-get install qemu-utils")
    process = subprocess.Popen(
        [*_ENDS_WITH_PARENT, "prlimit", *limits, program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=descriptors,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        start_new_session=True,  # Ctrl-C in a terminal is for us, who end it
    )
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


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
