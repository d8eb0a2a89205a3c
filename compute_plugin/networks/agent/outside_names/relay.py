"""Passing questions for names out of a namespace, and answers back in.

Nobody but the dnsmasq of the namespace reaches 127.0.0.53 there, and each question has a socket of its own to the
resolver: an answer goes to who asked, and to nobody else. What is too much is let go: who asks asks again.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import trio

from compute_plugin.networks.agent.netlink.namespaces import within
from compute_plugin.networks.agent.outside_names.resolvers import PORT, Resolvers, target
from compute_plugin.networks.agent.served import Serve, Served
from compute_plugin.networks.plan.dnsmasq import OUTSIDE_NAMES

AT_ONCE: Final = 64
"""Questions of one network that wait for an answer, by datagrams; and a quarter of that by connections."""
PATIENCE_S: Final = 2.0
"""For one resolver."""
CONNECTION_S: Final = 30.0
DATAGRAM: Final = 65535
HEAD: Final = 12

T = TypeVar("T")


def names_served(nursery: trio.Nursery, resolvers: Resolvers) -> Served:
    return Served(nursery, "names of outside", lambda space, _: _opened(space, resolvers))


def _opened(space: str, resolvers: Resolvers) -> Serve:
    datagrams = within(space, lambda: _bound(socket.SOCK_DGRAM))
    try:
        connections = within(space, lambda: _bound(socket.SOCK_STREAM))
    except OSError:
        datagrams.close()
        raise
    return partial(serve, datagrams, connections, resolvers)


def _bound(kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    try:
        made.setblocking(False)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((OUTSIDE_NAMES, PORT))
        if kind == socket.SOCK_STREAM:
            made.listen(AT_ONCE)
    except OSError:
        made.close()
        raise
    return made


async def serve(datagrams: socket.socket, connections: socket.socket, resolvers: Resolvers) -> None:
    """Until cancelled; the sockets are closed then."""
    with trio.socket.from_stdlib_socket(datagrams) as asked, trio.socket.from_stdlib_socket(connections) as heard:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_datagrams, asked, resolvers, nursery)
            nursery.start_soon(_connections, heard, resolvers, nursery)


async def _datagrams(asked: trio.socket.SocketType, resolvers: Resolvers, nursery: trio.Nursery) -> None:
    limit = trio.Semaphore(AT_ONCE)
    while True:
        question, source = await asked.recvfrom(DATAGRAM)
        if len(question) < HEAD or not _acquired(limit):
            continue

        async def answer(question: bytes = question, source: tuple[object, ...] = source) -> None:
            found = await _first(resolvers, partial(_ask, question))
            if found is not None:
                await asked.sendto(found, source)

        nursery.start_soon(_limited, limit, answer)


async def _connections(heard: trio.socket.SocketType, resolvers: Resolvers, nursery: trio.Nursery) -> None:
    limit = trio.Semaphore(AT_ONCE // 4)
    while True:
        accepted, _ = await heard.accept()
        if not _acquired(limit):
            accepted.close()
            continue

        async def join(accepted: trio.socket.SocketType = accepted) -> None:
            with accepted, trio.move_on_after(CONNECTION_S):
                stream = await _first(resolvers, _connect)
                if stream is not None:
                    async with stream:
                        await _join(trio.SocketStream(accepted), stream)

        nursery.start_soon(_limited, limit, join)


def _acquired(limit: trio.Semaphore) -> bool:
    try:
        limit.acquire_nowait()
    except trio.WouldBlock:
        return False
    return True


async def _limited(limit: trio.Semaphore, work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        return  # one of both is gone
    finally:
        limit.release()


async def _first(resolvers: Resolvers, tried: Callable[[str], Awaitable[T]]) -> T | None:
    """What comes of the first resolver of which anything comes."""
    for one in resolvers():
        with trio.move_on_after(PATIENCE_S):
            try:
                return await tried(one)
            except OSError:
                continue
    return None


async def _ask(question: bytes, resolver: str) -> bytes:
    family, address = target(resolver)
    with trio.socket.socket(family, socket.SOCK_DGRAM) as asking:
        await asking.connect(address)
        await asking.send(question)
        while True:
            answer: bytes = await asking.recv(DATAGRAM)
            if len(answer) >= HEAD and answer[:2] == question[:2]:
                return answer


async def _connect(resolver: str) -> trio.SocketStream:
    family, address = target(resolver)
    made = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await made.connect(address)
    except BaseException:
        made.close()
        raise
    return trio.SocketStream(made)


async def _join(one: trio.SocketStream, other: trio.SocketStream) -> None:
    """Until one of both ends."""
    async with trio.open_nursery() as nursery:

        async def copy(source: trio.SocketStream, to: trio.SocketStream) -> None:
            try:
                async for data in source:
                    await to.send_all(data)
            except trio.BrokenResourceError:
                pass
            nursery.cancel_scope.cancel()

        nursery.start_soon(copy, one, other)
        nursery.start_soon(copy, other, one)
