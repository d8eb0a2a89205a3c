"""Worker processes: which of them has which device, and where they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.folder import DataFolder
from drystone.node_identity import NodeIdentity
from drystone.worker_devices import spread
from drystone.worker_places import folder_of_process, forget_workers, known_count, worker_places
from store.core.errors import InvalidError

NAMES = ["n1", "n1-p2", "n1-p3", "n1-p4"]


def node(name: str = "n1", address: str = "10.0.0.1:7400") -> NodeIdentity:
    return NodeIdentity(name, address, 1, 1, "m", name, address)


@given(st.dictionaries(st.integers(0, 40), st.sampled_from([*NAMES, "n1-p9"]), min_size=4), st.integers(1, 4))
def test_each_has_as_many_as_any_other_or_one_more(before: dict[int, str], count: int) -> None:
    names = NAMES[:count]
    after = spread(before, names)
    assert after.keys() == before.keys()
    held = Counter(dict.fromkeys(names, 0)) + Counter(after.values())
    assert set(after.values()) <= set(names)
    assert max(held.values()) - min(held.get(name, 0) for name in names) <= 1
    assert spread(after, names) == after, "what is even stays"


@given(st.dictionaries(st.integers(0, 40), st.sampled_from(NAMES), min_size=4))
def test_no_more_move_than_must(before: dict[int, str]) -> None:
    after = spread(before, NAMES)
    moved = sum(before[number] != after[number] for number in before)
    held = sorted((list(before.values()).count(name) for name in NAMES), reverse=True)
    least, more = divmod(len(before), len(NAMES))
    room = [least + (place < more) for place in range(len(NAMES))]
    assert moved == sum(max(0, has - may) for has, may in zip(held, room, strict=True))


def test_fewer_devices_than_processes_are_refused() -> None:
    with pytest.raises(InvalidError, match="3 processes need 3 devices"):
        spread({0: "n1", 1: "n1"}, NAMES[:3])
    assert spread({}, ["n1"]) == {}, "a node that has just joined has none yet"


def test_places(tmp_path: Path) -> None:
    folder = DataFolder(str(tmp_path))
    two, three = worker_places(folder, node(), 3)
    assert (two.number, two.name, two.address) == (2, "n1-p2", "10.0.0.1:7403")
    assert (three.name, three.address) == ("n1-p3", "10.0.0.1:7404")
    assert three.folder.path == str(tmp_path / "processes" / "3")
    assert worker_places(folder, node(address="[fd00::1]:7400"), 2)[0].address == "[fd00::1]:7403"
    assert worker_places(folder, node(), 1) == []


@pytest.mark.parametrize("identity", [node(name="a" * 21), node(address="10.0.0.1:65534")])
def test_a_worker_without_a_name_or_a_port(tmp_path: Path, identity: NodeIdentity) -> None:
    with pytest.raises(InvalidError):
        worker_places(DataFolder(str(tmp_path)), identity, 3)


def test_a_worker_has_devices_below_the_folder_that_it_works_for(tmp_path: Path) -> None:
    worker = folder_of_process(DataFolder(str(tmp_path / "processes" / "2")), 2)
    assert worker.at("cluster.json") == str(tmp_path / "processes" / "2" / "cluster.json")
    assert worker.device("devices/0") == str(tmp_path / "devices" / "0")
    assert worker.label(str(tmp_path / "devices" / "0")) == "devices/0"
    assert worker.label("/mnt/disk") == "/mnt/disk"
    first = DataFolder(str(tmp_path))
    assert folder_of_process(first, 1) is first


def test_how_many_there_were(tmp_path: Path) -> None:
    folder = DataFolder(str(tmp_path))
    assert known_count(folder) == 1
    for number in ("2", "3"):
        (tmp_path / "processes" / number / "node").mkdir(parents=True)
    assert known_count(folder) == 3
    forget_workers(folder, 2)
    assert known_count(folder) == 2
    forget_workers(folder, 1)
    assert known_count(folder) == 1
    (tmp_path / "processes" / "lost+found").mkdir(parents=True)
    with pytest.raises(InvalidError, match="has more in it"):
        known_count(folder)
