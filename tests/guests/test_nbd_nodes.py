"""A new connection below a running guest, over a model of QEMU's block nodes: stopped at any step, and begun again."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import libvirt_qemu
import pytest
import trio
from trio.testing import MockClock

from compute_plugin.hypervisors.libvirt import nbd_nodes
from compute_plugin.hypervisors.libvirt.monitor import MonitorError
from compute_plugin.hypervisors.libvirt.nbd_nodes import OPEN_SECONDS, check_server, renew
from store.core.errors import ConflictError, NotFoundError, RetryableError

XML = """<domain><devices><disk type='network' device='disk'>
  <driver name='qemu' type='raw' cache='none' discard='unmap' detect_zeroes='unmap'/>
  <source protocol='nbd' name='v' index='3'><host transport='unix' socket='/s'/></source>
  <target dev='vda' bus='virtio'/><alias name='virtio-disk0'/>
</disk></devices></domain>"""

NODES = ["libvirt-3-format", "libvirt-3-storage"]


class Qemu:
    """Nodes and what is below them. It refuses what QEMU refuses, and can be told to fail at a command."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {
            "libvirt-3-storage": {"driver": "nbd"},
            "libvirt-3-format": {"driver": "raw", "file": "libvirt-3-storage"},
        }
        self.changes = 0
        self.fail_at = 0
        self.fail_after = False

    def XMLDesc(self, _: int) -> str:
        return XML

    def name(self) -> str:
        return "guest"

    def ask(self, command: str, arguments: dict[str, Any]) -> Any:
        if command == "query-named-block-nodes":
            return [{"node-name": name} for name in self.nodes]
        self.changes += 1
        if self.changes == self.fail_at and not self.fail_after:
            raise MonitorError("stopped before it")
        self._change(command, arguments)
        if self.changes == self.fail_at:
            raise MonitorError("stopped after it")
        return {}

    def _change(self, command: str, arguments: dict[str, Any]) -> None:
        if command == "blockdev-add":
            name = arguments.pop("node-name")
            if name in self.nodes:
                raise MonitorError("Duplicate nodes")
            self.nodes[name] = arguments
        elif command == "blockdev-del":
            name = arguments["node-name"]
            if any(node.get("file") == name for node in self.nodes.values()):
                raise MonitorError("is in use")
            del self.nodes[name]
        else:
            assert command == "blockdev-reopen"
            (options,) = arguments["options"]
            assert options["file"] in self.nodes
            self.nodes[options.pop("node-name")] = options


def monitor(domain: Qemu, command: str, _: int) -> str:
    wanted = json.loads(command)
    try:
        return json.dumps({"return": domain.ask(wanted["execute"], wanted["arguments"])})
    except MonitorError as error:
        return json.dumps({"error": {"desc": str(error)}})


async def there(path: str) -> None:
    """The server of the model."""
    assert path == "/s"


@pytest.fixture
def qemu(monkeypatch: pytest.MonkeyPatch) -> Qemu:
    monkeypatch.setattr(libvirt_qemu, "qemuMonitorCommand", monitor)
    monkeypatch.setattr(nbd_nodes, "check_server", there)
    return Qemu()


def check(qemu: Qemu, hold_seconds: int) -> None:
    assert sorted(qemu.nodes) == NODES
    cache = {"direct": True, "no-flush": False}
    assert qemu.nodes["libvirt-3-format"] == {
        "driver": "raw",
        "file": "libvirt-3-storage",
        "read-only": False,
        "cache": cache,
        "discard": "unmap",
        "detect-zeroes": "unmap",
    }
    assert qemu.nodes["libvirt-3-storage"] == {
        "driver": "nbd",
        "server": {"type": "unix", "path": "/s"},
        "export": "v",
        "reconnect-delay": hold_seconds,
        "open-timeout": OPEN_SECONDS,
        "read-only": False,
        "cache": cache,
        "discard": "unmap",
    }


async def test_nodes_have_their_names_again(qemu: Qemu) -> None:
    await renew(qemu, "vda", 7)
    check(qemu, 7)
    assert qemu.changes == 6


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(1, 7))
async def test_stopped_half_way_and_begun_again(qemu: Qemu, step: int, after: bool) -> None:
    qemu.fail_at, qemu.fail_after = step, after
    with pytest.raises(MonitorError, match="stopped"):
        await renew(qemu, "vda", 7)
    assert qemu.nodes["libvirt-3-format"]["file"] in qemu.nodes  # the guest has its disk all the while
    await renew(qemu, "vda", 8)
    check(qemu, 8)


async def test_a_spare_of_before_is_not_used(qemu: Qemu) -> None:
    """Its connection may be lost, and its size is that of then."""
    qemu.fail_at = 2
    with pytest.raises(MonitorError):
        await renew(qemu, "vda", 7)
    stale = qemu.nodes["drystone-3-spare"]
    qemu.fail_at = qemu.changes + 4  # the old spare is removed, another added and put below; storage is removed
    with pytest.raises(MonitorError):
        await renew(qemu, "vda", 8)
    assert qemu.nodes["libvirt-3-format"]["file"] == "drystone-3-spare"
    assert qemu.nodes["drystone-3-spare"] is not stale


async def test_no_such_disk_or_node(qemu: Qemu) -> None:
    with pytest.raises(NotFoundError, match="vdb"):
        await renew(qemu, "vdb")
    del qemu.nodes["libvirt-3-format"]
    with pytest.raises(ConflictError):
        await renew(qemu, "vda")
    assert qemu.changes == 0


async def test_qemu_is_not_asked_where_no_server_answers(qemu: Qemu, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it connected the guest would stand still."""

    async def away(path: str) -> None:
        raise RetryableError("nobody")

    monkeypatch.setattr(nbd_nodes, "check_server", away)
    with pytest.raises(RetryableError, match="nobody"):
        await renew(qemu, "vda")
    assert qemu.changes == 0


async def test_a_server_that_answers_is_told_from_one_that_does_not(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = tmp_path / "s"
    with pytest.raises(RetryableError, match="no server of volumes is at"):
        await check_server(str(path))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        began = trio.current_time()
        with pytest.raises(RetryableError, match="does not answer"):  # it is stopped
            await check_server(str(path))
        assert trio.current_time() - began == pytest.approx(OPEN_SECONDS)
    path.unlink()

    async def says(stream: trio.SocketStream) -> None:
        await stream.send_all(said)

    async with trio.open_nursery() as nursery:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.setblocking(False)
            listening.bind(str(path))
            listening.listen()
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
            nursery.start_soon(trio.serve_listeners, says, [listener])
            said = b"NBDMAGIC"
            await check_server(str(path))
            said = b""
            with pytest.raises(RetryableError, match="does not answer"):
                await check_server(str(path))
            nursery.cancel_scope.cancel()
