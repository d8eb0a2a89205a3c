"""A real Drystone process on a free port, and a plain client for it."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

READY = "serves "
START_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Program:
    """One data folder and the process that serves it."""

    def __init__(
        self, folder: Path, *options: str, environment: Mapping[str, str] | None = None, servers: bool = False
    ) -> None:
        """`servers`: whether it runs servers, and starts what it needs for that."""
        self.folder = folder
        self._options = options if servers else ("--no-servers", *options)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.account = ""
        self.token = ""

    def start(self) -> None:
        """Start it and wait until it serves; the first time, sign in."""
        command = [sys.executable, "-m", "drystone", "--data", str(self.folder), "up", "--listen", "127.0.0.1:0"]
        with (self.folder.parent / f"{self.folder.name}.log").open("a") as log:
            self._process = subprocess.Popen(
                [*command, *self._options], stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if READY in line:
                self.url = line.split(READY, 1)[1].split()[0]
                break
        else:
            raise AssertionError(f"it did not start:\n{self.log()}")
        self.sign_in()

    def log(self) -> str:
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def settings(self) -> dict[str, str]:
        """What `admin-openrc` exports."""
        lines = (self.folder / "admin-openrc").read_text().splitlines()
        pairs = [line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export ")]
        return {pair[0]: pair[1] for pair in pairs}

    def sign_in(self, project: str = "") -> None:
        """As the administrator, in a project or that of the administrator."""
        settings = self.settings()
        with closing(Client(self)) as client:
            user = f"{project or settings['OS_PROJECT_NAME']}:{settings['OS_USERNAME']}"
            headers = {"X-Auth-User": user, "X-Auth-Key": settings["OS_PASSWORD"]}
            answer = client.ask("GET", "/auth/v1.0", headers=headers)
        assert answer.status == 200, answer
        self.account = urlsplit(answer.headers["x-storage-url"]).path
        self.token = answer.headers["x-auth-token"]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        assert self._process is not None
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end."""
        assert self._process is not None
        code = self._process.wait(timeout=60)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        return code

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    @property
    def running(self) -> bool:
        return self._process is not None

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command on the same folder."""
        command = [sys.executable, "-m", "drystone", "--data", str(self.folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def memory_bytes(self) -> int:
        """Resident memory that is the process's own: pages of its files in the page cache do not count."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon")


class Client:
    """One connection."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request to a path of the server."""
        if self._connection is None:
            parts = urlsplit(self._program.url)
            self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            self._connection.request(method, path, body=body, headers=dict(headers or {}))
            response = self._connection.getresponse()
            content = response.read()
        except BaseException:
            self.close()
            raise
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def object(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request below the account; `path` is container[/object], not yet quoted."""
        target = f"{self._program.account}/{quote(path)}" if path else self._program.account
        return self.ask(method, target, body, {"X-Auth-Token": self._program.token, **(headers or {})})

    def listing(self, container: str, query: str = "") -> list[str]:
        """Every name in a container, page by page."""
        names: list[str] = []
        while True:
            marker = f"&marker={quote(names[-1])}" if names else ""
            path = f"{self._program.account}/{quote(container)}?limit=1000{marker}{query}"
            answer = self.ask("GET", path, headers={"X-Auth-Token": self._program.token})
            page = answer.body.decode().splitlines()
            if not page:
                return names
            names += page

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def running(
    folder: Path, *options: str, environment: Mapping[str, str] | None = None, servers: bool = False
) -> Iterator[Program]:
    """A started program, stopped at the end."""
    program = Program(folder, *options, environment=environment, servers=servers)
    program.start()
    try:
        yield program
    finally:
        if program.running:
            program.stop()
