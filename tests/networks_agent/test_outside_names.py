"""Names of outside: asked by guests, answered by the host's resolver."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import trio

from compute_plugin.networks.agent.netlink.namespaces import within_path
from compute_plugin.networks.agent.outside_names.resolvers import listed
from tests.networks_agent.cloud import Cloud, Guest, Host, until_async
from tests.networks_agent.test_hostile import everything
from tests.networks_agent.test_one_host import addresses, network

RESOLVER = "127.0.0.77"
ANSWER = "198.51.100.7"


def question(name: str, number: int) -> bytes:
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1)


def answer(asked: bytes) -> bytes:
    """What was asked is there (other sections are left out), and has an address."""
    end = asked.index(b"\0", 12) + 5
    head = asked[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0)
    return head + asked[12:end] + struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(ANSWER)


async def resolver(cloud: Cloud, host: Host, folder: Path, nursery: trio.Nursery) -> None:
    """In the host's own namespace, and named by its resolv.conf."""
    (folder / "resolv.conf").write_text(f"# ours\nnameserver {RESOLVER}\noptions x\n")
    host.run("mount", "--bind", str(folder / "resolv.conf"), "/etc/resolv.conf")

    def opened() -> tuple[socket.socket, socket.socket]:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for one in made:
            one.setblocking(False)
            one.bind((RESOLVER, 53))
            cloud.closing.callback(one.close)
        return made

    datagrams, stream = within_path(f"/proc/{host.machine.holder}/ns/net", opened)
    stream.listen()
    asked = trio.socket.from_stdlib_socket(datagrams)

    async def datagrams_answered() -> None:
        while True:
            data, source = await asked.recvfrom(1000)
            await asked.sendto(answer(data), source)

    async def connection_answered(heard: trio.SocketStream) -> None:
        async with heard:
            data = await heard.receive_some(1000)
            said = answer(bytes(data[2:]))
            await heard.send_all(struct.pack("!H", len(said)) + said)

    nursery.start_soon(datagrams_answered)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(stream))
    nursery.start_soon(trio.serve_listeners, connection_answered, [listener])


async def asks(guest: Guest, name: str, number: int) -> bytes:
    """The answer of the network's dnsmasq; b"" for none."""
    asking = await guest.bound("10.0.0.11")
    await asking.sendto(question(name, number), ("10.0.0.2", 53))
    with trio.move_on_after(2):
        return bytes(await asking.recv(1000))
    return b""


async def asks_by_connection(guest: Guest, name: str) -> bytes:
    stream = await guest.connects("10.0.0.2", 53)
    if stream is None:
        return b""
    data = question(name, 5)
    async with stream:
        await stream.send_all(struct.pack("!H", len(data)) + data)
        with trio.move_on_after(2):
            return bytes(await stream.receive_some(1000))
    return b""


async def test_guests_learn_names_of_outside_from_the_resolver_of_the_host(cloud: Cloud, tmp_path: Path) -> None:
    host = await cloud.host()
    for what in (network, everything):
        await cloud.change(what)
    async with trio.open_nursery() as nursery:
        await resolver(cloud, host, tmp_path, nursery)
        guest = await cloud.guest(host, "one", "net", addresses(11), groups=["all"])
        wanted = socket.inet_aton(ANSWER)

        async def is_told(name: str, number: int) -> bool:
            said = await asks(guest, name, number)
            return said[:2] == struct.pack("!H", number) and wanted in said

        await until_async(lambda: is_told("one.example.org", 1), cloud.said)

        async def is_told_by_connection() -> bool:
            return wanted in await asks_by_connection(guest, "two.example.org")

        await until_async(is_told_by_connection, cloud.said)
        host.agent.kill()
        inside = await asks(guest, "host-10-0-0-11.openstacklocal", 3)
        assert socket.inet_aton("10.0.0.11") in inside, "names of the network go on"
        await host.start()
        await until_async(lambda: is_told("three.example.org", 4), cloud.said)
        nursery.cancel_scope.cancel()


def test_resolvers_are_read_as_others_read_them() -> None:
    text = "#nameserver 1\nnameserver  192.0.2.1 # x\nsearch a\n nameserver fe80::1%eth0\nnameserver\n"
    assert listed(text) == ["192.0.2.1", "fe80::1%eth0"]
