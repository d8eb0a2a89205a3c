"""The registry in etcd, for clusters, by its JSON gateway; and etcd itself, run by us.

Read `registry` (the promise kept), over `keyspace` (its JSON, sans-I/O), `client` and `endpoint` (who is asked, and
what is known after a failure) and `watch`.
"""

from store.registry.etcd.client import Client, open_client
from store.registry.etcd.endpoint import Tls
from store.registry.etcd.errors import AccessError
from store.registry.etcd.registry import EtcdRegistry

__all__ = [
    "AccessError",
    "Client",
    "EtcdRegistry",
    "Tls",
    "open_client",
]
