"""The system's disk: what is said to be durable has been synced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from store.core.disk import SystemDisk


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of what was synced, in order."""
    paths: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return paths


def test_a_folder_that_is_made_is_durable_in_the_one_above_it(tmp_path: Path, synced: list[str]) -> None:
    disk = SystemDisk(str(tmp_path / "device"))
    disk.make_folder("log")
    assert (tmp_path / "device" / "log").is_dir()
    assert synced == [str(tmp_path / "device")]
    disk.close()


def test_names_are_durable_in_the_folder_that_is_synced(tmp_path: Path, synced: list[str]) -> None:
    disk = SystemDisk(str(tmp_path / "device"))
    disk.make_folder("log")
    synced.clear()
    disk.open("log/one", create=True)
    disk.sync_folder("log")
    assert synced == [str(tmp_path / "device" / "log")]
    disk.close()
