"""A libvirt daemon of the test: in a mount namespace, in which the folders that it insists on are the test's own. Its
socket, and the files of guests, are where everybody sees them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import libvirt
import trio

from tests.guests.embedded import CONFIGURATION

FOLDERS = ("/run/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt", "/etc/libvirt")
PATIENCE = 60.0


class Daemon:
    """libvirtd, that is killed and started. Its guests run on meanwhile."""

    def __init__(self, folder: Path, before: str = "") -> None:
        """`before`: what the shell is to do in its namespace before it starts."""
        self._folder = folder
        self._before = before
        self._process: subprocess.Popen[bytes] | None = None
        for path in FOLDERS:
            self._own(path).mkdir(parents=True)
            Path(path).mkdir(parents=True, exist_ok=True)
        (self._own("/etc/libvirt") / "qemu.conf").write_text(CONFIGURATION)
        (self._own("/etc/libvirt") / "libvirtd.conf").write_text(
            f'host_uuid = "{uuid4()}"\nauth_unix_ro = "none"\nauth_unix_rw = "none"\n'
        )
        self.uri = f"qemu+unix:///system?socket={self._own('/run/libvirt')}/libvirt-sock"

    def _own(self, path: str) -> Path:
        return self._folder / path.strip("/").replace("/", "-")

    def start(self) -> None:
        binds = "; ".join(f"mount --bind {self._own(path)} {path}" for path in FOLDERS)
        script = f"mount --make-rprivate /; {binds}; {self._before} exec libvirtd -p /run/libvirt/own.pid"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(["unshare", "-m", "sh", "-ec", script], stdout=log, stderr=log)

    async def until_up(self) -> None:
        """A file that appears tells nobody of it."""
        with trio.fail_after(PATIENCE):
            while not await trio.to_thread.run_sync(self._answers):
                assert self._process is not None
                assert self._process.poll() is None, (self._folder / "log").read_text()
                await trio.sleep(0.05)

    def _answers(self) -> bool:
        with suppress(libvirt.libvirtError):
            libvirt.open(self.uri).close()
            return True
        return False

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


@contextmanager
def daemon(folder: Path, before: str = "") -> Iterator[Daemon]:
    """One that is started, and may not answer yet."""
    folder.mkdir()
    made = Daemon(folder, before)
    made.start()
    try:
        yield made
    finally:
        made.end()
