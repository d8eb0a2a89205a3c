"""What benchmarks ask the API of a service, as the administrator of the Drystone under test or of a peer."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bench.process_figures import processor_seconds

MIB = 1 << 20
REST_SECONDS = 1.0
RESTING = 0.05
"""Of a processor, at most."""


@dataclass
class Service:
    """An API by its URL, without a slash at its end. `pids` are its processes, none where they are not known."""

    name: str
    url: str
    token: str
    pids: tuple[int, ...] = ()

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """JSON, or bytes as they are; an iterator is sent in pieces. Raises OSError for what is no success."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=600)
        said = {"X-Auth-Token": self.token, "Content-Type": "application/json", **(headers or {})}
        sent = json.dumps(body).encode() if isinstance(body, dict | list) else body
        connection.request(method, parts.path + path, sent, said)
        answer = connection.getresponse()
        if answer.status >= 300:
            raise OSError(f"{self.name} answers {answer.status}: {answer.read()[:300]!r}")
        length, last = 0, b""
        while piece := answer.read(MIB):
            length, last = length + len(piece), piece
        connection.close()
        return length, last

    def used(self) -> float:
        """Seconds of a processor, so far."""
        return processor_seconds(self.pids)

    def rest(self) -> float:
        """Wait until nothing is done any more in the background. Seconds of a processor that this took, 0 where the
        processes are not known."""
        before = last = self.used()
        while self.pids:
            time.sleep(REST_SECONDS)
            now = self.used()
            if now - last < RESTING * REST_SECONDS:
                break
            last = now
        return last - before


def until_there(volumes: Service, id_: str) -> None:
    """Wait for a volume. Raises OSError where it failed."""
    while True:
        volume = json.loads(volumes.ask("GET", f"/volumes/{id_}")[1])["volume"]
        if volume["status"] == "available":
            return
        if "error" in volume["status"]:
            raise OSError(f"the volume is {volume['status']}")
        time.sleep(0.02)


def token_of(settings: dict[str, str]) -> str:
    """A token of identity v3, for the settings that `administrator` reads."""
    user = {"name": settings["OS_USERNAME"], "domain": {"id": "default"}, "password": settings["OS_PASSWORD"]}
    scope = {"project": {"name": settings["OS_PROJECT_NAME"], "domain": {"id": "default"}}}
    identity = {"methods": ["password"], "password": {"user": user}}
    body = json.dumps({"auth": {"identity": identity, "scope": scope}})
    parts = urlsplit(settings["OS_AUTH_URL"])
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80)
    connection.request("POST", f"{parts.path}/auth/tokens", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.headers["X-Subject-Token"]
