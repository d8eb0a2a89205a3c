"""What the servers of a suite run on: libvirt's driver within Drystone, as in the tests of guests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.guests import embedded
from tests.guests.image.make import make_image


def guest_image(folder: Path) -> Path:
    """A QCOW2 of the test guest, which says something on its console, and lets go of disks."""
    raw = make_image(folder)
    made = folder / "guest.qcow2"
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(raw), str(made)], check=True)
    return made


@contextmanager
def hypervisor(wanted: bool) -> Iterator[str]:
    """As libvirt calls it; "" where there are to be no servers."""
    if not wanted:
        yield ""
        return
    try:
        yield embedded.uri()
    finally:
        for file in embedded.folder().glob("**/run/**/*.pid"):  # guests outlive whoever runs them
            with suppress(ValueError, ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        shutil.rmtree(embedded.folder(), ignore_errors=True)
