"""A real provider, one of each module that asks for it, as a process of its own on a port of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.authn.conftest import cloud

__all__ = ["cloud"]

FOLDER = Path(sys.prefix) / "openid-provider"
PROGRAM = Path(__file__).parent / "provider" / "provider.mjs"


@dataclass
class RealProvider:
    process: subprocess.Popen[str]
    issuer: str = ""

    def said(self) -> dict[str, Any]:
        """The next thing that it says; waits for it."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the provider has ended"
        told: dict[str, Any] = json.loads(line)
        return told

    def rotate(self) -> None:
        """Let it sign with a new key, and forget the old one."""
        assert self.process.stdin is not None
        self.process.stdin.write("rotate\n")
        self.process.stdin.flush()
        assert "keys" in self.said()


@pytest.fixture(scope="module")
def real_provider() -> Iterator[RealProvider]:
    if shutil.which("node") is None or not (FOLDER / "package.json").exists():
        pytest.skip("not installed: node, or the provider (tests/federation/get-provider)")
    process = subprocess.Popen(
        ["node", PROGRAM, FOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # it warns that it is not made for production
        text=True,
    )
    with process:
        try:
            provider = RealProvider(process)
            provider.issuer = provider.said()["issuer"]
            yield provider
        finally:
            process.terminate()
