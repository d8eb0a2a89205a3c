"""The other processes of the cluster, as this one sees them: a link to each, and the devices that each has.

`processes` is the list of all others that run, or may run: who must be asked before data are dropped (pins), and whose
uploads are not to be ended (lives), is found there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Final

import structlog
import trio

from drystone.links import Links
from drystone.node_identity import NodeIdentity
from drystone.node_records import NodeRecord
from store.device.port import DevicePort
from store.remote.device import RemoteDevice
from store.remote.process import RemoteProcess

log = structlog.get_logger()

REACH_SECONDS: Final = 5.0
"""A start waits for other nodes no longer than this: who is away then is away."""


@dataclass
class _Peer:
    record: NodeRecord
    process: RemoteProcess
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    started: bool = False


def by_distance(identity: NodeIdentity, nodes: Mapping[str, NodeRecord]) -> list[str]:
    """The names of the others, the nearest first: of this zone, then of this region. Among equals each node begins with
    the one whose name comes after its own, so that not all ask the same."""

    def far(name: str) -> tuple[bool, bool, bool, str]:
        record = nodes[name]
        elsewhere = record.region != identity.region
        return elsewhere, elsewhere or record.zone != identity.zone, name < identity.name, name

    return sorted(nodes, key=far)


class Peers:
    """`devices` are those of all processes; here come and go those of others, and how far each is in `distances`."""

    def __init__(
        self,
        links: Links,
        devices: MutableMapping[int, DevicePort],
        distances: MutableMapping[int, int],
        on_back: Callable[[RemoteDevice], None],
    ) -> None:
        """`on_back` is called with a device of another process that can be used again."""
        self._links = links
        self._distances = distances
        self._devices = devices
        self._on_back = on_back
        self._peers: dict[str, _Peer] = {}
        self._nursery: trio.Nursery | None = None

    @property
    def processes(self) -> dict[str, RemoteProcess]:
        """By the names of their nodes."""
        return {name: peer.process for name, peer in self._peers.items()}

    def follow(self, nodes: Mapping[str, NodeRecord], places: Mapping[int, str]) -> None:
        """These are the other nodes from now on, and `places` says of each device which node has it."""
        for name, peer in list(self._peers.items()):
            now = nodes.get(name)
            if now is None or (now.address, now.serial) != (peer.record.address, peer.record.serial):
                log.info("a node has gone", node=name)
                del self._peers[name]
                self._have(peer, set())
                peer.scope.cancel()
        for name, record in nodes.items():
            known = self._peers.get(name)
            if known is None:
                process = RemoteProcess((), self._links.dial(name, record.address), self._links.mine)
                process.on_back = self._on_back
                known = self._peers[name] = _Peer(record, process)
                self._start(known)
            known.record = record
            self._have(known, {number for number, node in places.items() if node == name})
        order = by_distance(self._links.identity, nodes)
        self._distances.clear()
        self._distances.update((number, order.index(node) + 1) for number, node in places.items() if node in nodes)

    def _have(self, peer: _Peer, numbers: set[int]) -> None:
        before = dict(peer.process.devices)
        peer.process.have(numbers)
        for number, device in before.items():
            if number not in numbers and self._devices.get(number) is device:
                del self._devices[number]
        for number in numbers:
            self._devices[number] = peer.process.devices[number]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep in touch with them, until cancelled; started when all are reached, or have had time to be."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for peer in self._peers.values():
                self._start(peer)
            with trio.move_on_after(REACH_SECONDS):
                for peer in list(self._peers.values()):
                    await peer.process.wait_reached()
            task_status.started()
            await trio.sleep_forever()

    def _start(self, peer: _Peer) -> None:
        if self._nursery is not None and not peer.started:
            peer.started = True
            self._nursery.start_soon(self._run, peer)

    @staticmethod
    async def _run(peer: _Peer) -> None:
        with peer.scope:
            await peer.process.run()
