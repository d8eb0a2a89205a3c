"""A machine with a node of a cluster on it, looked after by the commands as an operator types them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from tests.cluster.machines import Machine, Process
from tests.cluster.waiting import until

LISTEN, SERVE = 7400, 8080
PATIENCE = 180.0
DRYSTONE = (sys.executable, "-m", "drystone")
OPTIONS = ("--no-servers",)


class Node:
    """A machine and its process. `program` is how Drystone is run there."""

    process: Process

    def __init__(
        self,
        machine: Machine,
        name: str,
        program: Sequence[str] = DRYSTONE,
        options: Sequence[str] = OPTIONS,
    ) -> None:
        """`options` are further ones of `up`."""
        self.machine = machine
        self.name = name
        self.data = machine.folder / "data"
        self._starts = 0
        self.install(program, options)

    def install(self, program: Sequence[str], options: Sequence[str] = OPTIONS) -> None:
        """Have this one from the next start on."""
        self._program = program
        self.process = self.machine.process(
            *program, "--data", str(self.data), "up", "--listen", f"{self.machine.address}:{SERVE}", *options
        )

    def typed(self, *arguments: str) -> str:
        return self.machine.run(*self._program, "--data", str(self.data), *arguments)

    def start(self) -> None:
        self._starts = self.process.output().count("serves http") + 1
        self.process.start()
        self.wait_up()

    def wait_up(self) -> None:
        until(lambda: self.process.output().count("serves http") >= self._starts, PATIENCE)

    @property
    def listens(self) -> str:
        return f"{self.machine.address}:{LISTEN}"

    def join(self, seed: Node, *options: str) -> None:
        line = shlex.split(seed.typed("cluster", "token"))
        self.typed(*line[1:], "--name", self.name, "--listen", self.listens, *options)

    @property
    def voters(self) -> int:
        """Members of etcd that vote, as it knows."""
        return len(json.loads((self.data / "node" / "node.json").read_text())["etcd"])

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.typed("status", "--json"))
        return found
