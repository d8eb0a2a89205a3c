"""Running files of the suite."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conformance.outcomes import Outcome, read
from tests.conformance.swift.library import Library

TEST_SECONDS = 300
"""No test takes as long unless it hangs."""

FILES = (  # the longest first, so that lanes end together
    "tests.py",
    "test_object_versioning.py",
    "test_slo.py",
    "test_symlink.py",
    "test_versioned_writes.py",
    "test_tempurl.py",
    "test_staticweb.py",
    "test_dlo.py",
    "test_container.py",
    "test_account.py",
    "test_object.py",
    "test_access_control.py",
    "test_domain_remap.py",
    "test_protocol.py",
)
"""All of test/functional but s3api."""


def run(library: Library, file: str, config: str, folder: Path, options: tuple[str, ...] = ()) -> list[Outcome]:
    """Run one file's tests; `config` is the text of the suite's configuration, `folder` keeps the logs."""
    folder.mkdir(parents=True, exist_ok=True)
    settings, report = folder / f"{file}.conf", folder / f"{file}.xml"
    settings.write_text(config)
    command = [
        str(library.python), "-m", "pytest", "-o", "addopts=", "-q", "-p", "no:cacheprovider",
        f"--timeout={TEST_SECONDS}", f"--junit-xml={report}", *options, f"test/functional/{file}",
    ]  # fmt: skip
    environment = {**os.environ, "SWIFT_TEST_CONFIG_FILE": str(settings)}
    with (folder / f"{file}.log").open("w") as log:
        done = subprocess.run(
            command, cwd=library.source, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
        )
    if not report.exists():
        raise RuntimeError(f"pytest ended with {done.returncode}; see {folder / file}.log")
    return read(file, report.read_text())
