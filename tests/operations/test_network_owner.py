"""One process wires a machine, and no cloud takes another's wiring for its own leftovers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from drystone import network_owner
from drystone.network_owner import lock_host, own, owned_by_another


def test_one_process_has_the_lock_and_who_ends_lets_it_go(tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    held = lock_host(run)
    assert held is not None
    assert lock_host(run) is None
    held.close()
    again = lock_host(run)
    assert again is not None
    again.close()


@pytest.mark.parametrize(
    ("links", "by_another"), [(["lo", "eth0"], False), (["lo", "dsb-57114111-59"], True), (["lo", "dsx-7"], True)]
)
def test_what_is_wired_for_another_cloud_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: list[str], by_another: bool
) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: list(enumerate(links, 1)))
    monkeypatch.setattr(network_owner, "SPACES", str(tmp_path / "none"))
    run = str(tmp_path / "run")
    assert not owned_by_another(run, "a"), "nobody has said whose it is"
    own(run, "a")
    assert not owned_by_another(run, "a")
    assert owned_by_another(run, "b") is by_another


def test_namespaces_are_wiring_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo")])
    monkeypatch.setattr(network_owner, "SPACES", str(tmp_path))
    own(str(tmp_path / "run"), "a")
    (tmp_path / "guest").touch()
    assert not owned_by_another(str(tmp_path / "run"), "b")
    (tmp_path / "drystone-router-57114111-59e5-5586-b43d-70927a46671b").touch()
    assert owned_by_another(str(tmp_path / "run"), "b")
