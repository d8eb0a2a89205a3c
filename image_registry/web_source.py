"""`WebSource`: fetches what a user names by URL, and cannot be made to fetch what only we can reach.

A host's name is resolved once, its addresses are looked at, and the connection is made to one that was: no second
answer of a name server counts. Redirects are followed by the same rules. Refused are addresses that are not global
(loopback, link-local, private, multicast, mapped) and those of networks that this machine is attached to, other ports
than the usual, and other schemes, unless an operator named the host.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpcore
import trio

from store.core.errors import InvalidError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS: Final = {"http": 80, "https": 443}
REDIRECTS_MAX: Final = 5
CONNECT_S: Final = 15
READ_S: Final = 60
"""Without any byte."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_URL_CHARACTERS_MAX: Final = 2048


class FetchError(InvalidError):
    """What was named is not fetched, or cannot be."""


@dataclass(frozen=True, slots=True)
class WebRules:
    """What may be fetched besides global addresses at the usual ports."""

    allowed_hosts: frozenset[str] = frozenset()
    """Names or addresses that may be fetched from whatever they stand for, at any port."""


class WebSource:
    """Over HTTP and HTTPS."""

    def __init__(self, rules: WebRules = WebRules()) -> None:
        self._rules = rules
        self._tls = ssl.create_default_context()

    def check(self, uri: object) -> str:
        """The URL, where it may be asked for as far as that can be said without asking. Raises FetchError."""
        if not isinstance(uri, str) or len(uri) > _URL_CHARACTERS_MAX:
            raise FetchError(f"URI for web-download does not pass filtering: {str(uri)[:100]}")
        refused = FetchError(f"URI for web-download does not pass filtering: {uri}")
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port or PORTS.get(parts.scheme)
        except ValueError as error:
            raise refused from error
        if parts.scheme not in PORTS or not host or parts.username or parts.password or not uri.isascii():
            raise refused
        if host in self._rules.allowed_hosts:
            return uri
        if port != PORTS[parts.scheme] or host == "localhost" or _is_encoded(host):
            raise refused
        address = _address(host)
        if address is not None and not is_allowed(address, ()):
            raise refused
        return uri

    @asynccontextmanager
    async def open(self, uri: str) -> AsyncIterator[tuple[int | None, AsyncGenerator[bytes, None]]]:
        """How many bytes there are, if that is said, and the bytes. Raises FetchError, also while they come."""
        backend = _Guarded(self._rules.allowed_hosts)
        async with httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=backend) as pool:
            for _ in range(REDIRECTS_MAX + 1):
                try:
                    async with self._answered(pool, self.check(uri)) as response:
                        if response.status not in _REDIRECTS:
                            yield _size(response), _pieces(uri, response)
                            return
                        uri = urljoin(uri, _header(response, b"location"))
                except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
                    raise FetchError(f"{uri} cannot be fetched: {error or type(error).__name__}") from error
            raise FetchError(f"{uri} cannot be fetched: there are more than {REDIRECTS_MAX} redirects")

    async def look(self, uri: object) -> str:
        """As `check`, and that its host is one that may be asked. Raises FetchError."""
        checked = self.check(uri)
        parts = urlsplit(checked)
        await _allowed_addresses(parts.hostname or "", parts.port or PORTS[parts.scheme], self._rules.allowed_hosts)
        return checked

    @asynccontextmanager
    async def _answered(self, pool: httpcore.AsyncConnectionPool, uri: str) -> AsyncIterator[httpcore.Response]:
        timeouts: dict[str, Any] = {"connect": CONNECT_S, "read": READ_S, "write": READ_S, "pool": CONNECT_S}
        # Bits are taken as they are: nothing is to unpack them on the way.
        headers = [("User-Agent", "drystone-image-import"), ("Accept", "*/*"), ("Accept-Encoding", "identity")]
        async with pool.stream("GET", uri, headers=headers, extensions={"timeout": timeouts}) as response:
            if response.status != 200 and response.status not in _REDIRECTS:
                raise FetchError(f"{uri} cannot be fetched: the server answers {response.status}")
            yield response


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connects to addresses that have been looked at, and to no others."""

    def __init__(self, allowed_hosts: Collection[str]) -> None:
        self._allowed_hosts = allowed_hosts
        self._plain = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _allowed_addresses(host, port, self._allowed_hosts)
        return await self._plain.connect_tcp(str(addresses[0]), port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


async def _allowed_addresses(host: str, port: int, allowed_hosts: Collection[str]) -> list[Address]:
    """Those that a host has now, all of which may be connected to. Raises FetchError."""
    addresses = await _resolved(host, port)
    if host not in allowed_hosts:
        attached = await trio.to_thread.run_sync(attached_networks)
        if not all(is_allowed(address, attached) for address in addresses):
            raise FetchError(f"{host} is not fetched from: it is no host of the open internet")
    return addresses


async def _resolved(host: str, port: int) -> list[Address]:
    """Raises FetchError."""
    try:
        found = await trio.socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError(f"{host} is not known: {error}") from error
    return [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]


def is_allowed(address: Address, attached: Collection[Network]) -> bool:
    """Whether it is an address of the open internet, and of no network that this machine is attached to."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None:
            return is_allowed(inner, attached)
        if address in ipaddress.ip_network("64:ff9b::/96"):  # NAT64 (RFC 6052)
            return is_allowed(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF), attached)
        if address.is_site_local:  # of old, and global to the library
            return False
    if not address.is_global or address.is_multicast or address.is_unspecified or address.is_reserved:
        return False
    return not any(address in network for network in attached)


def attached_networks() -> list[Network]:
    """Those that this machine reaches without a router, as Linux has them."""
    networks: list[Network] = []
    for line in _lines("/proc/net/route")[1:]:
        fields = line.split()
        destination, gateway, mask = (int.from_bytes(bytes.fromhex(fields[at]), "little") for at in (1, 2, 7))
        if not gateway and mask:
            networks.append(ipaddress.IPv4Network((destination, bin(mask).count("1"))))
    for line in _lines("/proc/net/if_inet6"):
        raw, _, prefix = line.split()[:3]
        networks.append(ipaddress.IPv6Network((bytes.fromhex(raw), int(prefix, 16)), strict=False))
    return networks


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []  # a kernel without that protocol


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_encoded(host: str) -> bool:
    """Whether it is an address in one of the ways that the C library knows, too: `0x7f.1`, `2130706433`."""
    if _address(host) is not None:
        return False
    return all(part.isdecimal() or part.startswith("0x") for part in host.rstrip(".").split("."))


def _header(response: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")


def _size(response: httpcore.Response) -> int | None:
    said = _header(response, b"content-length")
    return int(said) if said.isdecimal() and len(said) <= 18 else None


async def _pieces(uri: str, response: httpcore.Response) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in response.aiter_stream():
            yield piece
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        raise FetchError(f"{uri} cannot be fetched to its end: {error or type(error).__name__}") from error
