"""A process that is told to stop while somebody watches says so first, and finishes what it was asked."""

from __future__ import annotations

import http.client
import os
import signal
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.process.program import Client, running


@pytest.mark.process
def test_who_watches_hears_of_the_end_before_it_comes(tmp_path: Path) -> None:
    with running(tmp_path / "data") as program, closing(Client(program)) as client, closing(Client(program)) as watcher:
        assert (watcher.ask("GET", "/ready").status, watcher.ask("GET", "/healthcheck").status) == (200, 200)
        assert client.object("PUT", "c").status == 201
        os.kill(program.pid, signal.SIGTERM)
        answer = watcher.ask("GET", "/ready")
        while answer.status == 200:
            answer = watcher.ask("GET", "/ready")
        assert (answer.status, answer.body) == (503, b"stopping")
        # It still serves, new connections too, and a body that takes its time.
        parts = urlsplit(program.url)
        slow = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        slow.putrequest("PUT", f"{program.account}/c/slow")
        slow.putheader("X-Auth-Token", program.token)
        slow.putheader("Content-Length", "4")
        slow.endheaders(b"ab")
        os.kill(program.pid, signal.SIGTERM)  # twice: at once
        slow.send(b"cd")
        assert slow.getresponse().status == 201
        slow.close()
        assert program.wait() == 0
