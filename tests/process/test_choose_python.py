"""Which Python the environment is made with: `choose-python`, among stand-ins that say what a test has them say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHOOSE = Path(__file__).parents[2] / "choose-python"


def interpreter(folder: Path, name: str, says: str) -> Path:
    """Something that answers like an interpreter; where it says nothing, like one that is too old."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n" if says else "#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return path


def chosen(*folders: Path) -> str:
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    return subprocess.run([CHOOSE], env={"PATH": path}, capture_output=True, text=True, check=True).stdout.strip()


def test_an_optimised_one_goes_before_a_plain_one(tmp_path: Path) -> None:
    plain = interpreter(tmp_path / "a", "python3", "3.12.1 plain able")
    best = interpreter(tmp_path / "b", "python3", "3.11.2 optimised able")
    interpreter(tmp_path / "b", "python3.13", "3.13.0 optimised able")
    assert chosen(plain.parent, best.parent) == str(best)


def test_those_that_cannot_be_used_are_passed_over(tmp_path: Path) -> None:
    interpreter(tmp_path / "a", "python3", "")
    interpreter(tmp_path / "b", "python3", "3.13.0 optimised unable")
    best = interpreter(tmp_path / "c", "python3", "3.11.2 optimised able")
    assert chosen(tmp_path / "a", tmp_path / "b", tmp_path / "c") == str(best)


def test_the_build_is_described() -> None:
    said = subprocess.run([CHOOSE, "describe", sys.executable], capture_output=True, text=True, check=True).stdout
    version = ".".join(map(str, sys.version_info[:3]))
    assert said in (f"Python {version}, optimised build\n", f"Python {version}, plain build\n")
