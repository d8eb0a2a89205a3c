"""Programs that serve networks: found by their pid files, started, told to read again, ended.

They go on when the agent ends. Only a process whose arguments name its folder is ours.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Final

import trio

from compute_plugin.networks.agent.difference import digest
from compute_plugin.networks.agent.netlink.sockets import inode
from compute_plugin.networks.agent.running import inside, run
from compute_plugin.networks.agent.seen import SeenService
from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.wiring import File, Service

TOLD: Final = "told"
"""The file that says what the process was told to read last."""
PROGRAMS: Final = ("dnsmasq", "radvd")
END_S: Final = 3.0


def seen_services(run_folder: str) -> dict[str, SeenService]:
    """By their folders."""
    found = {}
    if Path(run_folder).is_dir():
        for entry in os.scandir(run_folder):
            if entry.is_dir(follow_symlinks=False) and names.is_our_space(entry.name):
                found[entry.path] = seen_service(entry.path)
    return found


def seen_service(folder: str) -> SeenService:
    """What there is in a folder, and the process that it is of."""
    files = {}
    told = ""
    for path in sorted(Path(folder).iterdir()):
        if path.suffix == ".pid" or not path.is_file():
            continue
        text = _text(path)
        if path.name == TOLD:
            told = text
        else:
            files[str(path)] = text
    pid = process_of(folder)
    if pid is None:
        return SeenService(files=files, told=told)
    space = _space_of(pid, Path(folder).name)
    return SeenService(space=space, command=_command(pid), process=pid, files=files, told=told)


async def ended(pid: int) -> None:
    """Wait until a process has."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await trio.lowlevel.wait_readable(descriptor)
    finally:
        os.close(descriptor)


def process_of(folder: str) -> int | None:
    """The process whose pid file is there."""
    for path in sorted(Path(folder).glob("*.pid")):
        try:
            pid = int(path.read_text())
        except (OSError, ValueError):
            continue
        if _is_of(pid, folder):
            return pid
    return None


def _processes_of(folder: str) -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _is_of(int(name), folder)]


def _is_of(pid: int, folder: str) -> bool:
    """Whether a process is one of ours, and for this folder."""
    command = _command(pid)
    program = command[0].rpartition("/")[2] if command else ""
    return program in PROGRAMS and any(f"{folder}/" in word for word in command[1:])


async def start(space: str, service: Service) -> str:
    """With its files; what went wrong, or ""."""
    await end(service.folder)
    _lay_out(service)
    done = await run(inside(space, service.command))
    if done.status != 0:
        return done.errors or f"{service.name} ended with {done.status}"
    _write(File(f"{service.folder}/{TOLD}", digest(service)))
    return ""


async def reload(service: Service) -> str:
    """Have it read its files again; what went wrong, or ""."""
    for file in service.reloaded:
        _write(file)
    pid = process_of(service.folder)
    if pid is None:
        return f"{service.name} does not run"
    os.kill(pid, signal.SIGHUP)
    _write(File(f"{service.folder}/{TOLD}", digest(service)))
    return ""


async def end(folder: str) -> None:
    """Its processes, also one whose pid file is gone."""
    for pid in _processes_of(folder):
        await _end_one(pid, folder)


async def _end_one(pid: int, folder: str) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not _is_of(pid, folder):
            return  # another has its number by now
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        with trio.move_on_after(END_S):
            await trio.lowlevel.wait_readable(descriptor)
            return
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        await trio.lowlevel.wait_readable(descriptor)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


async def remove(folder: str) -> None:
    """Its process and its folder."""
    await end(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _lay_out(service: Service) -> None:
    """Its files, and no others."""
    folder = Path(service.folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    for file in (*service.files, *service.reloaded):
        _write(file)
    wanted = {file.path for file in (*service.files, *service.reloaded)}
    for path in folder.iterdir():
        if str(path) not in wanted:
            path.unlink()


def _write(file: File) -> None:
    """At once or not at all."""
    path = Path(file.path)
    beside = path.with_name(f".{path.name}")
    beside.write_text(file.text)
    beside.chmod(0o644)
    beside.replace(path)


def _text(path: Path) -> str:
    """ "" where it went just now."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def _command(pid: int) -> tuple[str, ...]:
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(word.decode(errors="replace") for word in data.rstrip(b"\0").split(b"\0"))


def _space_of(pid: int, space: str) -> str:
    """`space` where the process is in it, else ""."""
    try:
        return space if os.stat(f"/proc/{pid}/ns/net").st_ino == inode(space) else ""
    except OSError:
        return ""
