"""How this node reaches others: by TLS with its certificate, as who it is."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import Final

from drystone.cluster import Cluster
from drystone.folder import DataFolder
from drystone.node_identity import NodeIdentity, credentials_of
from store.core.network import Network, SystemNetwork
from store.wire.client import Dial, WireClient
from store.wire.message import Hello
from store.wire.tls import client_context, dial

VERSION: Final = 1
"""Of the protocol: the only one so far."""
NO_MEMBER: Final = "is no member with this certificate"
"""What a node hears that was removed, or whose name another has."""
REMOVED: Final = (
    "this node was removed from the cluster, or another has joined under its name: nothing of it is used any more. To "
    "use this machine again, join with an empty data folder"
)


def hello_of(cluster: str, name: str) -> Hello:
    """What a node says of itself at the beginning of a link. `cluster` is the cluster's id, in hexadecimal."""
    return Hello(VERSION, VERSION, cluster, name, f"drystone {version('drystone')}")


class Links:
    """Raises OSError where a file of the node's credentials is missing, or none."""

    def __init__(
        self, folder: DataFolder, cluster: Cluster, identity: NodeIdentity, network: Network | None = None
    ) -> None:
        self.identity = identity
        self.cluster = cluster.id.hex()
        self.mine = hello_of(self.cluster, identity.name)
        self.network = network or SystemNetwork()
        self._context = client_context(credentials_of(folder))

    def dial(self, name: str, address: str) -> Dial:
        """What dials a node at its address."""
        return partial(dial, self.network, address, name, self.cluster, self._context)

    def to_registry(self) -> WireClient:
        """A client of the node that owns the registry: to be run."""
        identity = self.identity
        return WireClient(self.dial(identity.registry, identity.registry_address), self.mine)
