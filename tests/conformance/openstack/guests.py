"""What the servers of a suite run on: libvirt's driver within Drystone, as in the tests of guests."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.guests import embedded


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
