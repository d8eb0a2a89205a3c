"""What the contract is tried on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.guests import embedded
from tests.guests.conftest import missing, root
from tests.guests.image import make
from tests.hypervisors.worlds import MemoryWorld, World, libvirt_world

__all__ = ["root"]

collect_ignore_glob = ["test_*.py"] if find_spec("libvirt") is None else []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = missing() or make.missing()
    for item in items:
        if why and item.get_closest_marker("guest") is not None and "hypervisors" in item.path.parts:
            item.add_marker(pytest.mark.skip(reason=why))


@cache
def image() -> bytes:
    """Of the test guest."""
    folder = embedded.folder() / "image"
    folder.mkdir()
    return make.make_image(folder).read_bytes()


@pytest.fixture(
    params=[
        "twin",
        pytest.param("libvirt", marks=[pytest.mark.guest, pytest.mark.timeout(600), pytest.mark.xdist_group("guests")]),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path, root: Path) -> AsyncIterator[World]:
    if request.param == "twin":
        yield MemoryWorld(tmp_path)
        return
    from compute_plugin.hypervisors.kvm.driver import qemu_hypervisor
    from compute_plugin.hypervisors.libvirt.link import Link

    async with (
        qemu_hypervisor(Link(embedded.uri())) as hypervisor,
        libvirt_world(root, image(), hypervisor) as made,
    ):
        yield made
