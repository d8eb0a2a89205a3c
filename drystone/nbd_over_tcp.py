"""Volumes for clients on other machines: NBD over TCP, in TLS, for those alone who show a certificate.

Certificates are read and addresses bound before anything else is done, so that a mistake there is told at once.
"""

from __future__ import annotations

import ssl
from typing import Final, NamedTuple

import trio

from gateway.nbd.tls import server_context
from store.core.errors import InvalidError

PORT: Final = 10809
"""That of NBD (IANA): URIs need not name it."""
BACKLOG: Final = 128


class NbdOverTcp(NamedTuple):
    """What `drystone up` was told. `key` is None where it is in the file of the certificate."""

    host: str
    port: int
    certificate: str
    key: str | None
    client_ca: str

    @property
    def options(self) -> list[str]:
        """The same for another process."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        said = ["--nbd-listen", f"{host}:{self.port}", "--nbd-tls-certificate", self.certificate]
        said += ["--nbd-tls-key", self.key] if self.key else []
        return [*said, "--nbd-tls-client-ca", self.client_ca]

    def context(self) -> ssl.SSLContext:
        """Raises InvalidError where a file is none of these."""
        try:
            return server_context(self.certificate, self.key, self.client_ca)
        except OSError as error:  # those of ssl are, too
            files = ", ".join(file for file in (self.certificate, self.key, self.client_ca) if file)
            raise InvalidError(f"--nbd-tls-certificate, its key or --nbd-tls-client-ca ({files}): {error}") from error

    async def listen(self) -> list[trio.SocketListener]:
        """On each address of the host. Raises InvalidError."""
        try:
            return await trio.open_tcp_listeners(self.port, host=self.host, backlog=BACKLOG)
        except OSError as error:
            raise InvalidError(f"cannot listen on {self.host}:{self.port}: {error.strerror or error}") from error


def nbd_over_tcp(
    listen: str | None, certificate: str | None, key: str | None, client_ca: str | None
) -> NbdOverTcp | None:
    """Of the options of `drystone up`; None where volumes are for this machine alone. Raises InvalidError where some
    are missing, for every address: without TLS whoever reaches the port could have every volume, and on the loopback
    each user of this machine could."""
    if listen is None:
        if certificate or key or client_ca:
            raise InvalidError("--nbd-tls-… are for --nbd-listen ADDR:PORT, which is missing")
        return None
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise InvalidError(f"--nbd-listen takes ADDR:PORT, like 192.0.2.1:{PORT} or [::]:{PORT}, not {listen!r}")
    if not certificate or not client_ca:
        raise InvalidError(
            f"--nbd-listen {listen} needs --nbd-tls-certificate and --nbd-tls-client-ca: over TCP volumes are for "
            "those alone who show a certificate; clients on this machine use nbd.sock in the data folder"
        )
    return NbdOverTcp(host.strip("[]"), int(port), certificate, key, client_ca)


def port_of(listeners: list[trio.SocketListener]) -> int | None:
    """Where clients connect; None where nobody does."""
    return int(listeners[0].socket.getsockname()[1]) if listeners else None
