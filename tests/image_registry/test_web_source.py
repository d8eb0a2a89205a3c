"""What a user names by URL is fetched from the open internet alone, whatever names, redirects and servers say."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
import trio

from image_registry.web_source import REDIRECTS_MAX, FetchError, WebRules, WebSource, attached_networks, is_allowed
from tests.image_registry.web_server import moved, ok, served

LOCAL = WebRules(frozenset({"127.0.0.1"}))
PUBLIC = "93.184.216.34"


class Names(trio.abc.HostnameResolver):
    """A name server: what it answers for each name, one answer after the other, the last one for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(rows) for name, rows in answers.items()}

    async def getaddrinfo(self, host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        rows = self.answers.get(name)
        if rows is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        found = rows.pop(0) if len(rows) > 1 else rows[0]
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found
        ]

    async def getnameinfo(self, *_: Any) -> Any:
        raise AssertionError("nobody asks for names of addresses")


class Sockets(trio.abc.SocketFactory):
    """Says which addresses were to be connected to, and lets none be."""

    def __init__(self) -> None:
        self.connected: list[str] = []

    def socket(self, *_: Any, **__: Any) -> Any:
        return _Refusing(self)


class _Refusing:
    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets

    def setsockopt(self, *_: Any) -> None:
        """Nothing depends on it."""

    def close(self) -> None:
        """There is nothing open."""

    async def connect(self, address: Any) -> None:
        await trio.lowlevel.checkpoint()
        self._sockets.connected.append(address[0])
        raise ConnectionRefusedError("nobody is there")


async def fetched(uri: str, rules: WebRules = LOCAL) -> bytes:
    async with WebSource(rules).open(uri) as (_, pieces):
        return b"".join([piece async for piece in pieces])


# -- what is said ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "http://images.example/x",
        "https://images.example:443/x?y=z",
        "http://images.example:80/",
        f"http://{PUBLIC}/x",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
    ],
)
def test_what_may_be_asked_for(uri: str) -> None:
    assert WebSource().check(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        None,
        7,
        "",
        "images.example/x",
        "//images.example/x",
        "file:///etc/passwd",
        "ftp://images.example/x",
        "gopher://images.example/x",
        "http://",
        "http:///x",
        "http://images.example:8080/x",
        "http://images.example:443/x",
        "https://images.example:80/x",
        "http://images.example:x/",
        "http://images.example:99999/",
        "http://user@images.example/",
        "http://user:word@images.example/",
        "http://images.example\\@127.0.0.1/",
        "http://localhost/",
        "http://127.0.0.1/",
        "http://127.0.0.1./",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://0/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://[::1]/",
        "http://[::]/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[ff02::1]/",
        "http://[::1",
        "http://\u2460\u2461\u2466.0.0.1/",
        f"http://images.example/{'x' * 2048}",
    ],
)
def test_what_may_not(uri: object) -> None:
    with pytest.raises(FetchError):
        WebSource().check(uri)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        (PUBLIC, True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("203.0.113.7", False),
        ("::ffff:93.184.216.34", True),
        ("::ffff:10.0.0.1", False),
        ("2002:0a00:0001::1", False),
        ("64:ff9b::5db8:d822", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::1", False),
        ("2001:0:5ef5:79fb:0:0:f5ff:fffe", False),
        ("fec0::1", False),
    ],
)
def test_addresses(address: str, allowed: bool) -> None:
    assert is_allowed(ipaddress.ip_address(address), ()) is allowed


def test_networks_that_the_machine_is_attached_to_are_none_of_the_internet() -> None:
    network = ipaddress.ip_network("93.184.216.0/24")
    assert not is_allowed(ipaddress.ip_address(PUBLIC), [network])
    assert not is_allowed(ipaddress.ip_address(f"::ffff:{PUBLIC}"), [network])
    assert is_allowed(ipaddress.ip_address("93.184.217.1"), [network])
    assert all(network.prefixlen for network in attached_networks())


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::7f00:1"],
        [PUBLIC, "127.0.0.1"],
        ["fe80::1%eth0"],
    ],
)
async def test_a_name_of_what_only_we_reach_is_not_connected_to(addresses: list[str]) -> None:
    sockets = Sockets()
    trio.socket.set_custom_hostname_resolver(Names(inner_example=[addresses]))
    trio.socket.set_custom_socket_factory(sockets)
    with pytest.raises(FetchError, match="open internet"):
        await fetched("http://inner.example/x")
    with pytest.raises(FetchError, match="open internet"):
        await WebSource().look("http://inner.example/x")
    assert sockets.connected == []


async def test_the_address_that_was_looked_at_is_connected_to() -> None:
    """A name server that says something else the second time is not asked a second time."""
    sockets = Sockets()
    trio.socket.set_custom_hostname_resolver(Names(turning_example=[[PUBLIC], ["127.0.0.1"]]))
    trio.socket.set_custom_socket_factory(sockets)
    with pytest.raises(FetchError, match="cannot be fetched"):
        await fetched("http://turning.example/x")
    assert sockets.connected == [PUBLIC]


async def test_a_name_that_is_none_is_told_so() -> None:
    trio.socket.set_custom_hostname_resolver(Names())
    for name in ("missing.example", f"{'x' * 64}.example"):
        with pytest.raises(FetchError):
            await fetched(f"http://{name}/x")


# -- servers -----------------------------------------------------------------------------------------------------------


async def test_what_a_host_that_an_operator_named_has_is_fetched() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbits\r\n0\r\n\r\n"
    async with served({"/x": ok(b"bits"), "/chunked": chunked}) as server:
        async with WebSource(LOCAL).open(f"{server.origin}/x") as (size, pieces):
            assert size == 4
            assert b"".join([piece async for piece in pieces]) == b"bits"
        async with WebSource(LOCAL).open(f"{server.origin}/chunked") as (size, pieces):
            assert size is None
            assert b"".join([piece async for piece in pieces]) == b"bits"
        with pytest.raises(FetchError):
            await fetched(f"{server.origin}/x", WebRules())
    assert server.asked == ["/x", "/chunked"]


@pytest.mark.parametrize(
    "where",
    [
        "http://10.0.0.1/x",
        "http://localhost/x",
        "http://169.254.169.254/latest",
        "http://2130706433/x",
        "http://[::ffff:127.0.0.1]/x",
        "file:///etc/passwd",
        "http://inner.example/x",
        "http://inner.example:8080/x",
        "",
        "//user@inner.example/x",
    ],
)
async def test_a_redirect_leads_nowhere_that_may_not_be_asked(where: str) -> None:
    trio.socket.set_custom_hostname_resolver(Names(inner_example=[["127.0.0.1"]]))
    async with served({"/x": moved(where)}) as server:
        with pytest.raises(FetchError):
            await fetched(f"{server.origin}/x")
    assert set(server.asked) == {"/x"}


async def test_redirects_are_followed_and_have_an_end() -> None:
    answers = {"/round": moved("/round"), "/x": moved("/y", 301), "/y": moved("z", 307), "/z": ok(b"bits")}
    async with served(answers) as server:
        assert await fetched(f"{server.origin}/x") == b"bits"
        server.asked.clear()
        with pytest.raises(FetchError, match="redirects"):
            await fetched(f"{server.origin}/round")
    assert len(server.asked) == REDIRECTS_MAX + 1


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"bit", 4),
        ok(b"", 4),
        b"",
        b"HTTP/1.1 200",
        b"no http\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nbits",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\nbi",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_what_comes_in_part_or_not_at_all_is_no_image(answer: bytes) -> None:
    async with served({"/x": answer}) as server:
        with pytest.raises(FetchError):
            await fetched(f"{server.origin}/x")


async def test_a_server_that_stops_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("image_registry.web_source.READ_S", 0.05)
    silent = trio.Event()

    async def hang(stream: trio.SocketStream) -> None:
        await stream.send_all(ok(b"bi", 4))
        await silent.wait()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, hang, [listener])
        with pytest.raises(FetchError, match="to its end"):
            await fetched(f"http://127.0.0.1:{listener.socket.getsockname()[1]}/x")
        nursery.cancel_scope.cancel()
