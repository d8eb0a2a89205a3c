"""Swift as a library: its source package from the package index, in an environment of its own outside the tree.

The suite imports Swift's modules on the client's side, and its tests are only in the source package.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from tests.conformance.environment import Environment

RELEASE = "swift==2.38.*"

COMPANIONS = ("pytest>=8,<9", "pytest-timeout>=2.3", "python-swiftclient>=4.6")
"""What the suite needs besides; pytest 9 would count subtests as tests."""


class Library:
    """A virtual environment with Swift installed, and Swift's sources beside it."""

    def __init__(self, folder: Path) -> None:
        self._environment = Environment(folder, (RELEASE, *COMPANIONS))
        self._sources = folder / "source"
        self.python = self._environment.python

    @property
    def source(self) -> Path:
        """The unpacked source package."""
        return next(path for path in self._sources.glob("swift-*") if path.is_dir())

    @property
    def release(self) -> str:
        """The release of Swift that the tests are of."""
        return self.source.name.removeprefix("swift-")

    def prepare(self) -> None:
        """Download and install whatever is not there yet."""
        if self._environment.is_ready:
            return
        self._environment.make()
        self._sources.mkdir(exist_ok=True)
        pip = self._environment.pip
        pip("download", "--no-binary", "swift", "--no-deps", "--dest", str(self._sources), RELEASE)
        archive = next(self._sources.glob("swift-*.tar.gz"))
        pip("install", str(archive), *COMPANIONS)
        with tarfile.open(archive) as packed:
            if hasattr(tarfile, "data_filter"):  # which Python 3.11.4 brought
                packed.extraction_filter = tarfile.data_filter
            packed.extractall(self._sources)
        self._environment.finish()
