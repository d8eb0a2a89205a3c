"""Virtual environments for what is only needed to run a suite: outside the tree, and used again by later runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MARK = ".ready"


class Environment:
    """One of them. `wanted` tells what is to be in it: where that changes, it is made anew."""

    def __init__(self, folder: Path, wanted: tuple[str, ...]) -> None:
        self.folder = folder
        self.wanted = wanted
        self.python = folder / "bin" / "python"

    @property
    def is_ready(self) -> bool:
        """Whether everything is in it."""
        mark = self.folder / MARK
        return mark.exists() and mark.read_text() == self._contents

    def make(self) -> None:
        """An empty one, in place of one that may be there."""
        print(f"installing {', '.join(self.wanted)} into {self.folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.folder)], check=True)

    def pip(self, *arguments: str) -> None:
        """Run pip in it."""
        subprocess.run([str(self.python), "-m", "pip", "--quiet", *arguments], check=True)

    def finish(self) -> None:
        """Everything is in it now."""
        (self.folder / MARK).write_text(self._contents)

    @property
    def _contents(self) -> str:
        return "\n".join(self.wanted) + "\n"
