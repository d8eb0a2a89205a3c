"""The judge of histories: `judge/`, a Go program over Porcupine, built where Go is."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent / "judge"
BUILD_SECONDS = 300
STATUSES = ("linearizable", "violation", "unknown")


@dataclass(frozen=True)
class Verdict:
    """`status` is one of STATUSES; `said` has a line for each key that is not linearizable, and how long it took."""

    status: str
    said: str


def build(folder: Path) -> Path | str:
    """The program, made in `folder`; or the reason why there is none."""
    if shutil.which("go") is None:
        return "there is no Go here"
    program = folder / "judge"
    done = subprocess.run(
        ["go", "build", "-o", str(program), "."],
        cwd=SOURCE,
        env={**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false"},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if done.returncode == 0:
        return program
    if "dial tcp" in done.stderr or "lookup " in done.stderr or "module lookup disabled" in done.stderr:
        return f"the module cannot be had: {done.stderr.strip().splitlines()[-1]}"
    raise AssertionError(done.stderr)


def judge(program: Path, history: Path, pictures: Path, seconds: int = 300) -> Verdict:
    """Judge a history (see `history.write`). A picture of each violation is left in `pictures`; `seconds` is the bound
    for each key. Raises AssertionError for a history that makes no sense."""
    command = [str(program), "-seconds", str(seconds), "-html", str(pictures), str(history)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode < len(STATUSES), done.stderr
    return Verdict(STATUSES[done.returncode], done.stdout)
