"""Wall clocks that jump: a library that is loaded before libc's and adds what a file says to CLOCK_REALTIME.

A time namespace shifts monotonic clocks only, and the real one belongs to everybody. Debian's libfaketime can shift one
process, but makes `time.sleep` of Python 3.11 fail (it sleeps to an absolute monotonic time). This does less: nothing
sleeps by the wall clock here. Programs that do not ask libc (Go's, so etcd) see the true time.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).parent / "clock_shift.c"


def why_not() -> str | None:
    return None if shutil.which("cc") else "there is no C compiler"


def build(folder: Path) -> Path:
    """The library, made in `folder`."""
    library = folder / "clock_shift.so"
    command = ["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library
