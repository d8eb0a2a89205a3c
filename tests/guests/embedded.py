"""The embedded hypervisor of this process: libvirt's driver takes one folder, and no second."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

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


@cache
def folder() -> Path:
    """With a short path, for sockets; whoever asks removes it when nothing is tested any more."""
    return Path(tempfile.mkdtemp(prefix="guests"))


@cache
def uri() -> str:
    embedded = folder() / "libvirt"
    (embedded / "etc").mkdir(parents=True)
    (embedded / "etc/qemu.conf").write_text(CONFIGURATION)
    return f"qemu:///embed?root={embedded}"
