"""A volume goes from node to node: whoever is asked last has it, and who had it before answers nothing any more."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.cluster.waiting import until
from tests.process.disk import Disk, RefusedError
from tests.process.test_cluster import PATIENCE, Node, cluster

PAGE = 4096
PAGES = 32


def opened(node: Node) -> Disk:
    """The volume, taken over: where too few devices are known to be there yet, it is asked for again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return Disk(node.folder, "v")
        except RefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def in_order(node: Node) -> bool:
    """Whether a node sees all devices, each with all that it should have."""
    return set(node.states().values()) == {"ok"}


def fill(disk: Disk, known: dict[int, bytes], word: bytes) -> None:
    for page in range(0, PAGES, len(word)):
        data = (word + b"%d" % page).ljust(PAGE, b".")
        disk.write(page * PAGE, data, durable=page % 4 == 0)
        known[page] = data


def has(disk: Disk, known: dict[int, bytes]) -> bool:
    return all(disk.read(page * PAGE, PAGE) == data for page, data in known.items())


def is_cut_off(disk: Disk) -> bool:
    """Reads are answered for a moment longer; writes never."""
    try:
        disk.write(PAGE, b"x" * PAGE)
    except (OSError, EOFError):
        return True
    return False


@pytest.mark.process
@pytest.mark.timeout(600)
def test_another_node_takes_a_volume_over(tmp_path: Path) -> None:
    known: dict[int, bytes] = {}
    # One device on each node that goes away, so that no row can have two of its copies there.
    with cluster(tmp_path, 3, replicas=3, devices="a") as nodes:
        first, second, third = nodes
        first.typed("volume", "create", "v", "--size", "1M")
        with opened(second) as disk:
            fill(disk, known, b"a")
            second.kill()
        with opened(first) as disk:  # of one that was killed
            assert has(disk, known)
            fill(disk, known, b"bb")
            second.start()
            with opened(third) as other:  # of one that lives, and has a client
                assert has(other, known)
                assert is_cut_off(disk)
                fill(other, known, b"ccc")
                assert "here, 1 connection" in third.typed("volume", "list")
                until(lambda: f" {third.folder.name}, since" in second.typed("volume", "list"), PATIENCE)
        until(lambda: all(map(in_order, nodes)), PATIENCE)  # of three nodes one may be away, and not two
        with opened(third) as disk:
            os.kill(third.pid, signal.SIGSTOP)
            try:
                with opened(second) as other:  # of one that is stopped, and does not know it
                    assert has(other, known)
                    fill(other, known, b"dddd")
                    os.kill(third.pid, signal.SIGCONT)
                    assert is_cut_off(disk)
                    fill(other, known, b"eeeee")
                    assert has(other, known)
            finally:
                os.kill(third.pid, signal.SIGCONT)
        with opened(third) as disk:
            assert has(disk, known)
            for asked in (["snapshot", "v", "s"], ["flatten", "v"], ["rewind", "v", "--at", "1s ago"], ["delete", "v"]):
                said = first.refused("volume", *asked)
                assert f"volume v is open on node {third.folder.name} since 2" in said
                assert "--take-over" in said
            assert has(disk, known)
            first.typed("volume", "snapshot", "v", "s", "--take-over")
            assert is_cut_off(disk)
            said = third.typed("volume", "take-over", "v")
            assert f"Volume v is open here. It was open on node {first.folder.name} since 2" in said
        first.typed("volume", "delete", "v", "--take-over")
        with pytest.raises(RefusedError, match="there is no volume"):
            Disk(second.folder, "v")
