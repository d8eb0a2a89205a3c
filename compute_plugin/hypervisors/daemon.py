"""A libvirt daemon where nothing else starts one: on machines without systemd, such as containers.

One that was started here runs on when we end, as guests do. It is never ended here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import structlog
import trio

from compute_plugin.hypervisors.libvirt.connection import connected
from store.core.errors import RetryableError

log = structlog.get_logger()

SYSTEMD: Final = "/run/systemd/system"
LOCK: Final = "/run/drystone-libvirtd.lock"
SOCKET: Final = "/run/libvirt/libvirt-sock"
HYBRID: Final = "/sys/fs/cgroup/unified"
DAEMONS: Final = ("virtlogd", "libvirtd")
"""virtlogd writes the consoles of guests, and begins a new file when one has grown long."""
ANSWER_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.1


async def have_daemon(uri: str) -> None:
    """Return when somebody answers at this URI of libvirt; start the daemons where that is ours to do. Raises
    RetryableError, in words of what is to be done, where nobody answers."""
    why = await _silence(uri)
    if not why:
        return
    if await _is_up():  # and has no such driver, or cannot use it
        raise RetryableError(why)
    if reason := not_ours(uri):
        raise RetryableError(f"{why} ({reason})")
    await trio.to_thread.run_sync(_start)
    with trio.move_on_after(ANSWER_SECONDS):
        while True:
            why = await _silence(uri)
            if not why:
                log.info("started the daemon of libvirt", uri=uri)
                return
            await trio.sleep(LOOK_SECONDS)
    raise RetryableError(f"libvirtd was started, and does not answer: {why}")


def not_ours(uri: str, systemd: str = SYSTEMD) -> str:
    """Why the daemon for a URI is not to be started here, and what to do instead; "" where it is."""
    if not uri.partition("?")[0].endswith(":///system"):
        return "it is for others to start"
    if Path(systemd).exists():
        return "systemctl start libvirtd"
    if os.geteuid() != 0:
        return "root alone can start libvirtd"
    if away := [name for name in DAEMONS if shutil.which(name) is None]:
        return f"not installed: {', '.join(away)}"
    return ""


async def _is_up() -> bool:
    try:
        async with await trio.open_unix_socket(SOCKET):
            return True
    except OSError:
        return False


async def _silence(uri: str) -> str:
    """Why nobody answers, "" where somebody does."""
    try:
        async with connected(uri):
            return ""
    except RetryableError as error:
        return str(error)


def _start() -> None:
    """Once, whoever else does so too: the daemons refuse to run twice, and two that start at once would both wait."""
    with Path(LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in DAEMONS:
            command = [name, "-d"]
            if name == "libvirtd" and Path(HYBRID).is_mount():
                # Its driver of containers takes that for all there is of control groups, and fails.
                command = ["unshare", "-m", "sh", "-c", f"umount {HYBRID} && exec libvirtd -d"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                log.warning("a daemon does not start, or runs already", daemon=name, why=done.stderr.strip()[-500:])
