"""One embedded hypervisor of each test process, and what its guests run."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.guests import initrd

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


CONFIGURATION = """
stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = []
namespaces = []
"""
"""The driver is no daemon: it uses nothing of the machine but QEMU."""


collect_ignore_glob = ["test_*.py"] if find_spec("libvirt") is None else []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = missing()
    for item in items:
        if why and item.get_closest_marker("guest") is not None:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    """A folder with a short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="guests") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def system(root: Path) -> Any:
    from tests.guests.machine import System, kvm_works

    kernel = initrd.KERNEL / "vmlinuz"
    made = initrd.make(root)
    return System(kernel, made, "kvm" if kvm_works(kernel, made) else "qemu")


@pytest.fixture(scope="session")
def hypervisor_uri(root: Path) -> str:
    embedded = root / "libvirt"
    (embedded / "etc").mkdir(parents=True)
    (embedded / "etc/qemu.conf").write_text(CONFIGURATION)
    return f"qemu:///embed?root={embedded}"


@pytest.fixture
async def connection(hypervisor_uri: str) -> AsyncIterator[Any]:
    from compute_plugin.connection import connected

    async with connected(hypervisor_uri) as connection:
        yield connection
