"""How one member of etcd is started: its options as arguments of the program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from store.registry.etcd.endpoint import Tls

QUOTA_BYTES: Final = 2 * 1024**3
"""Of the file of a member; etcd's own default, told so that whoever watches over it knows it too."""

REVISIONS_KEPT: Final = 1000
"""What watchers can go back, at least; etcd compacts every five minutes."""

PROGRESS_SECONDS: Final = 10
"""Between two progress notes of a silent watch: so long ago at most is where it would go on at another member."""


@dataclass(frozen=True, slots=True)
class Member:
    """`peers`: the names and peer URLs of all members, this one included. `joins`: the cluster is there, and knows
    about this member; else it is founded by all that are named. Both are of use for an empty `data` alone.

    `tls` is shown to clients and members, and asked of both. Its certificate must serve for servers and for clients:
    the gateway inside etcd is a client of etcd. `revoked` is the path of a list of certificates that are not believed
    any more, which is read anew whenever one is shown; empty: there is none.
    """

    name: str
    data: str
    client_url: str
    peer_url: str
    peers: Mapping[str, str]
    token: str
    joins: bool = False
    tls: Tls | None = None
    quota_bytes: int = QUOTA_BYTES
    revoked: str = ""

    @property
    def cluster(self) -> str:
        return ",".join(f"{name}={url}" for name, url in self.peers.items())

    def command(self, *, alone: bool = False) -> list[str]:
        """The program and its arguments. `alone`: it forgets all other members, once (see `recovery`)."""
        return [
            # The kernel kills it when we are gone: nobody would look after it, and the next start needs its place.
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *("etcd", "--name", self.name, "--data-dir", self.data),
            *("--listen-client-urls", self.client_url, "--advertise-client-urls", self.client_url),
            *("--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url),
            *("--initial-cluster", self.cluster, "--initial-cluster-token", self.token),
            *("--initial-cluster-state", "existing" if self.joins else "new"),
            *("--auto-compaction-mode", "revision", "--auto-compaction-retention", str(REVISIONS_KEPT)),
            *("--quota-backend-bytes", str(self.quota_bytes)),
            *("--experimental-watch-progress-notify-interval", f"{PROGRESS_SECONDS}s"),
            *("--logger", "zap", "--log-outputs", "stderr"),
            *self._tls_arguments(),
            *(["--force-new-cluster"] if alone else []),
        ]

    def log_path(self) -> str:
        return os.path.normpath(self.data) + ".log"

    def _tls_arguments(self) -> list[str]:
        if self.tls is None:
            return []
        return [
            argument
            for peer in ("", "peer-")
            for argument in (
                f"--{peer}client-cert-auth",
                *(f"--{peer}trusted-ca-file", self.tls.ca),
                *(f"--{peer}cert-file", self.tls.certificate),
                *(f"--{peer}key-file", self.tls.key),
                *((f"--{peer or 'client-'}crl-file", self.revoked) if self.revoked else ()),
            )
        ]
