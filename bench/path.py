"""`python -m bench path`: how much of the project one request passes through.

A Drystone is served in this process, as `drystone up` serves it, and one client sends warm small requests over a real
socket. While a request is under way each call of a Python function is noted on the event loop's thread, from the first
call of `parse_head` to the end of the `send` that writes the response out. Two figures come of it:

- *files*: how many files of the project (authn, drystone, gateway, store) have a function that was called;
- *moves*: how often the next call of a function of the project is in another file than the call before it. To go on
  with a coroutine that has waited is a call of it, and of all that wait for it. Returns are not counted.

What other tasks of the loop do at the same time is counted, too (a request's own devices answer in such tasks), so both
figures are medians over many requests, and the files that are listed are those that most requests enter: rounds of
background work are in few. What workers do on threads of their own (writes, syncs, hashes of large bodies) is not
counted.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import FrameType
from urllib.parse import urlsplit

import click
import trio

from bench import load, report
from bench.targets import sign_in
from drystone import logs, up
from drystone.folder import DataFolder

ROOT = os.path.dirname(load.HERE)
ROOMS = tuple(os.path.join(ROOT, room) + os.sep for room in ("authn", "drystone", "gateway", "store"))
WARMING = 50
REQUESTS = 21
"""Of each verb. Odd, so that the median is one of them."""
_FIRST = ("gateway/http/head.py", "parse_head")
_LAST = ("gateway/http/exchange.py", "send")
_PAUSE_SECONDS = 0.05
"""Between two requests, for what goes on after an answer."""


@dataclass(frozen=True)
class Step:
    """A function of the project was called, or gone on with; or it has returned, or waits."""

    file: str
    function: str
    call: bool


class Recorder:
    """Notes the steps of one thread, while it is told to."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.wanted = False

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        """For `sys.setprofile`."""
        if self.wanted and (event in ("call", "return")) and frame.f_code.co_filename.startswith(ROOMS):
            file = os.path.relpath(frame.f_code.co_filename, ROOT)
            self.steps.append(Step(file, frame.f_code.co_name, event == "call"))


def path_of(steps: Sequence[Step]) -> list[str]:
    """The files of all calls in order, from the head of the request to the end of its response. ValueError if neither
    is among the steps."""
    places = [((step.file, step.function), step.call) for step in steps]
    first = places.index((_FIRST, True))
    last = len(places) - 1 - places[::-1].index((_LAST, False))
    return [step.file for step in steps[first : last + 1] if step.call]


def moves(path: Sequence[str]) -> int:
    """How often the next call is in another file."""
    return sum(file != following for file, following in pairwise(path))


def usual(paths: Sequence[Sequence[str]]) -> list[str]:
    """The files that most of the paths have, by name."""
    entered = Counter(file for path in paths for file in set(path))
    return sorted(file for file, count in entered.items() if count * 2 > len(paths))


class BenchClient:
    """One client on one connection, who sends a request at once: head and body in one packet, as fast clients do."""

    def __init__(self, folder: str) -> None:
        url, self._token = sign_in(folder)
        parts = urlsplit(url)
        self._account = parts.path
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=60)

    def ask(self, verb: str, name: str, body: bytes = b"") -> None:
        """Raises RuntimeError where the answer is a failure."""
        head = f"{verb} {self._account}/{name} HTTP/1.1\r\nHost: bench\r\nX-Auth-Token: {self._token}\r\n"
        head += f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        response = http.client.HTTPResponse(self._socket, method=verb)
        response.begin()
        response.read()
        if response.status >= 300:
            raise RuntimeError(f"{verb} {name}: {response.status}")

    def close(self) -> None:
        self._socket.close()


def _follow(folder: str, recorder: Recorder) -> dict[str, list[list[str]]]:
    """The paths of warm requests by verb, once the server serves."""
    body = os.urandom(load.SMALL_BYTES)
    with contextlib.closing(BenchClient(folder)) as asker:
        asker.ask("PUT", "path")
        asker.ask("PUT", "path/there", body)
        found: dict[str, list[list[str]]] = {}
        for verb, name, content in (("PUT", "path/new", body), ("GET", "path/there", b""), ("HEAD", "path/there", b"")):
            for number in range(WARMING):
                asker.ask(verb, f"{name}-{number}" if content else name, content)
            found[verb] = []
            for number in range(REQUESTS):
                time.sleep(_PAUSE_SECONDS)
                recorder.steps = []
                recorder.wanted = True
                asker.ask(verb, f"{name}-{WARMING + number}" if content else name, content)
                time.sleep(_PAUSE_SECONDS)  # until the loop, too, knows that the response has left
                recorder.wanted = False
                found[verb].append(path_of(recorder.steps))
    return found


async def _serve_and_follow(folder: str) -> dict[str, list[list[str]]]:
    recorder = Recorder()
    nothing: tuple[str, ...] = ()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            partial(
                up.run, DataFolder(folder), 1, 0, listen="127.0.0.1:0", paths=nothing, policies=nothing,
                storage_domains=nothing, devices=None, replicas=None, https=None, identity_config=None, nbd_tcp=None,
            )
        )  # fmt: skip
        while not os.path.exists(os.path.join(folder, "admin-openrc")):
            await trio.sleep(_PAUSE_SECONDS)
        sys.setprofile(recorder)
        try:
            found = await trio.to_thread.run_sync(_follow, folder, recorder)
        finally:
            sys.setprofile(None)
        nursery.cancel_scope.cancel()
    return found


@click.command()
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(where: str) -> None:
    """Files that one small request enters, and moves between them."""
    logs.configure("plain", "warning")
    welcome = io.StringIO()
    with (
        tempfile.TemporaryDirectory(prefix="drystone-bench-", dir=where) as folder,
        contextlib.redirect_stdout(welcome),
    ):
        found = trio.run(_serve_and_follow, os.path.join(folder, "data"))
    click.echo(f"{report.interpreter()}, medians of {REQUESTS} warm requests, {load.SMALL_BYTES:,} bytes")
    for verb, paths in found.items():
        entered = usual(paths)
        click.echo(f"{verb}: {len(entered)} files, {statistics.median(map(moves, paths)):.0f} moves")
    for verb, paths in found.items():
        click.echo(f"\n{verb}\n  " + "\n  ".join(usual(paths)))
