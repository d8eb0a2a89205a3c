"""A copy of the tree in which one mutant after the other is tried. The tree itself is never touched."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from tests.mutants.mutant import ROOT, Mutant

_COPIED: Final = (
    "authn",
    "compute_plugin",
    "drystone",
    "gateway",
    "image_registry",
    "store",
    "tests",
    "pyproject.toml",
)
_LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", ".hypothesis")
DATA_BYTES_MAX: Final = 4 << 30
"""A mistake may ask for memory without end."""
PATIENCE: Final = 5
"""So many times as long as without a mistake may tests take, and `GRACE_SECONDS` more; then they hang: noticed."""
GRACE_SECONDS: Final = 60.0
_NOTICED: Final = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


class Run(NamedTuple):
    """What tests said."""

    passed: bool
    seconds: float
    by: str
    """The first test that failed, or what else happened."""


class Tree:
    """One copy, for one mutant at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in _COPIED:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=_LEFT_OUT)
            else:
                shutil.copy(source, target)
        self._environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        # Compiled files that are judged by what is in the source, not by its time: mistakes follow each other quickly.
        compiling = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "."]
        subprocess.run(compiling, cwd=folder, check=True)
        shown = "import authn, store; print(authn.__file__, store.__file__)"
        out = subprocess.run(
            [sys.executable, "-c", shown], cwd=folder, env=self._environment, check=True, capture_output=True, text=True
        )
        if not all(Path(file).is_relative_to(folder) for file in out.stdout.split()):
            raise RuntimeError(f"tests would not look at the copy but at {out.stdout}")

    def test(self, tests: Sequence[str], limit: float | None = None) -> Run:
        """Run tests until one fails."""
        begun = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (DATA_BYTES_MAX, DATA_BYTES_MAX))
            try:
                output, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                return Run(False, time.monotonic() - begun, "they hang")
            finally:
                _end(process)
        found = _NOTICED.search(output)
        by = found[1] if found else f"exit status {process.returncode}: {output.strip()[-300:]}"
        return Run(process.returncode == 0, time.monotonic() - begun, by)

    def without(self, mutant: Mutant) -> None:
        """Have the mutant's file as it is."""
        shutil.copy(ROOT / mutant.file, self.folder / mutant.file)

    def trial(self, mutant: Mutant, seconds: dict[tuple[str, ...], float]) -> Run:
        """What becomes of the mutant; `seconds` says how long its tests take without it."""
        (self.folder / mutant.file).write_text(mutant.mutated())
        spent = 0.0
        try:
            for stage in mutant.stages:
                run = self.test(stage, PATIENCE * seconds[stage] + GRACE_SECONDS)
                spent += run.seconds
                if not run.passed:
                    return run._replace(seconds=spent)
        finally:
            self.without(mutant)
        return Run(True, spent, "")


def _end(process: subprocess.Popen[str]) -> None:
    """End the tests and all that they started: they are a process group of their own."""
    with suppress(ProcessLookupError):  # they had ended, all of them
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
