"""One embedded hypervisor of each test process, and what its guests run."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.guests import embedded, initrd

NEEDED = ("qemu-system-x86_64", "busybox", "virt-xml-validate")


def missing() -> str:
    """Why there can be no guests here, "" where there can."""
    away = [name for name in NEEDED if shutil.which(name) is None]
    if find_spec("libvirt") is None:
        away.append("libvirt-python")
    if not list(Path("/usr/lib").glob("**/libvirt/connection-driver/libvirt_driver_qemu.so")):
        away.append("libvirt's QEMU driver")
    if os.geteuid() == 0 and not _is_user("libvirt-qemu"):
        away.append("user libvirt-qemu")
    if not (initrd.KERNEL / "vmlinuz").exists():
        away.append("the guests' kernel (tests/guests/get-kernel)")
    return f"not installed: {', '.join(away)}" if away else ""


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


collect_ignore_glob = ["test_*.py"] if find_spec("libvirt") is None else []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = missing()
    for item in items:
        if why and item.get_closest_marker("guest") is not None:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    """A folder with a short path, for sockets."""
    yield embedded.folder()
    shutil.rmtree(embedded.folder(), ignore_errors=True)


@pytest.fixture(scope="session")
def system(root: Path) -> Any:
    from compute_plugin.hypervisors.kvm.probe import kvm_works
    from tests.guests.machine import System

    kernel = initrd.KERNEL / "vmlinuz"
    made = initrd.make(root)
    return System(kernel, made, "kvm" if kvm_works(str(kernel), str(made)) else "qemu")


@pytest.fixture(scope="session")
def hypervisor_uri() -> str:
    return embedded.uri()


@pytest.fixture
async def connection(hypervisor_uri: str) -> AsyncIterator[Any]:
    from compute_plugin.hypervisors.libvirt.connection import connected

    async with connected(hypervisor_uri) as connection:
        yield connection
