"""The console of a test guest, without a guest."""

from __future__ import annotations

import socket

import pytest
import trio
from trio.testing import MockClock

from store.core.beside import beside
from tests.guests.machine import SILENCE_SECONDS, Console


def pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    ends = socket.socketpair()
    first, second = (trio.SocketStream(trio.socket.from_stdlib_socket(each)) for each in ends)
    return first, second


async def nothing_known() -> str:
    return "nothing is known"


async def test_a_guest_is_not_held_up_while_nobody_waits_for_what_it_says() -> None:
    """As QEMU says it: each byte by itself."""
    here, there = pair()
    console = Console(here, nothing_known)
    async with here, there, beside(console.read):
        with trio.fail_after(60):
            for number in range(1000):
                for byte in b"w%d." % number:
                    await there.send_all(bytes([byte]))
            await console.wait(r"w999\.")
        assert console.text == "".join(f"w{number}." for number in range(1000))


async def test_a_guest_that_is_silent_is_typed_to_and_asked_about(autojump_clock: MockClock) -> None:
    here, there = pair()
    console = Console(here, nothing_known)

    async def wakes() -> None:
        assert await there.receive_some() == b"\n"
        await there.send_all(b"late")

    async with here, there, beside(console.read):
        for said in ("late", ""):
            async with trio.open_nursery() as nursery:
                if said:
                    nursery.start_soon(wakes)
                began = trio.current_time()
                with pytest.raises(AssertionError, match=f"it said '{said}'\nnothing is known"):
                    await console.wait("w1", patience=5)
                assert trio.current_time() - began <= 5 + SILENCE_SECONDS + 1


async def test_a_guest_that_is_gone_is_not_waited_for() -> None:
    here, there = pair()
    console = Console(here, nothing_known)
    async with here, beside(console.read):
        await there.send_all(b"bye")
        await there.aclose()
        await console.wait("bye")
        with pytest.raises(AssertionError, match="the guest is gone"):
            await console.wait("more")
