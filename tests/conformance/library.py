"""Swift as a library: its source package from the package index, in an environment of its own outside the tree.

The suite imports Swift's modules on the client's side, and its tests are only in the source package.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

RELEASE = "swift==2.38.*"

COMPANIONS = ("pytest>=8,<9", "pytest-timeout>=2.3", "python-swiftclient>=4.6")
"""What the suite needs besides; pytest 9 would count subtests as tests."""

MARK = ".ready"


class Library:
    """A virtual environment with Swift installed, and Swift's sources beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"

    @property
    def source(self) -> Path:
        """The unpacked source package."""
        return next(path for path in self._sources.glob("swift-*") if path.is_dir())

    @property
    def release(self) -> str:
        """The release of Swift that the tests are of."""
        return self.source.name.removeprefix("swift-")

    @property
    def _sources(self) -> Path:
        return self.folder / "source"

    def prepare(self) -> None:
        """Download and install whatever is not there yet."""
        if (self.folder / MARK).exists():
            return
        print(f"installing {RELEASE} into {self.folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.folder)], check=True)
        self._sources.mkdir(exist_ok=True)
        self._pip("download", "--no-binary", "swift", "--no-deps", "--dest", str(self._sources), RELEASE)
        archive = next(self._sources.glob("swift-*.tar.gz"))
        self._pip("install", str(archive), *COMPANIONS)
        with tarfile.open(archive) as packed:
            if hasattr(tarfile, "data_filter"):  # which Python 3.11.4 brought
                packed.extraction_filter = tarfile.data_filter
            packed.extractall(self._sources)
        (self.folder / MARK).touch()

    def _pip(self, *arguments: str) -> None:
        subprocess.run([str(self.python), "-m", "pip", "--quiet", *arguments], check=True)
