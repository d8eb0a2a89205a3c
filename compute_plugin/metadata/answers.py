"""Who answers what servers ask at 169.254.169.254: by the port that a question comes from, the server that has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from compute_plugin.metadata.documents import Tree, metadata_tree
from compute_plugin.networks.agent.metadata.answers import NOT_FOUND, from_port
from compute_plugin.networks.agent.metadata.asking import Answer, Asked
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.records.store import ComputeStore
from compute_plugin.settings import Settings
from store.core.entropy import Random

SEED_BYTES: Final = 512
PASSWORD_MOST: Final = 1020
"""Bytes, as in stock Nova."""

Ports = Callable[[Server], Awaitable[Sequence[Mapping[str, Any]]]]
"""The ports of a server, as the network service tells of them."""


class ServerAnswers:
    """`Answers` of the agent of networks."""

    def __init__(self, store: ComputeStore, ports: Ports, settings: Settings, random: Random) -> None:
        self._store = store
        self._ports = ports
        self._settings = settings
        self._random = random

    async def __call__(self, asked: Asked) -> Answer:
        """See Answers."""
        found = self._store.records.servers.by("port", asked.port.id)
        if not found:  # somebody plugs it in by hand
            return await from_port(asked)
        server = found[0]
        parts = [part for part in asked.path.partition("?")[0].split("/") if part]
        if parts[:1] == ["openstack"] and parts[2:] == ["password"]:
            return await self._password(server, asked)
        if asked.method == "POST":
            return Answer(405, b"")
        tree = metadata_tree(server, await self._ports(server), self._settings, self._random.bytes(SEED_BYTES))
        return answer(tree, parts, is_file=asked.path.endswith(".json"))

    async def _password(self, server: Server, asked: Asked) -> Answer:
        """What the guest itself has made up, encrypted with its key pair so that its owner alone can read it: `nova
        get-password`. It is left once; an owner who has cleared it lets the guest leave another."""
        if asked.method != "POST":
            return Answer(200, server.password.encode())
        try:
            password = asked.body.decode()
        except UnicodeDecodeError:
            return Answer(400, b"The password is no UTF-8.")
        if len(asked.body) > PASSWORD_MOST:
            return Answer(400, b"Request is too large.")

        def step(records: Records) -> bool:
            now = records.servers.get(server.id)
            if now is None or now.password:
                return False
            records.servers.put(replace(now, password=password))
            return True

        return Answer(200, b"") if await self._store.change(step) else Answer(409, b"")


def answer(tree: Tree, parts: Sequence[str], *, is_file: bool = False) -> Answer:
    """What is at a path. Pure."""
    found: Any = tree
    for part in parts:
        if not isinstance(found, Mapping):
            return NOT_FOUND
        name = part.partition("=")[0]
        if name not in found:
            return NOT_FOUND
        found = found[name]
    if isinstance(found, Mapping):
        return Answer(200, "\n".join(_listed(found)).encode())
    body = found if isinstance(found, bytes) else str(found).encode()
    if is_file:
        return Answer(200, body, "application/json")
    return Answer(200, body)


def _listed(tree: Tree) -> list[str]:
    """Folders end with a slash, but for key pairs, which say their names."""
    return [
        str(one["_name"]) if isinstance(one, Mapping) and "_name" in one
        else f"{name}/" if isinstance(one, Mapping)
        else name
        for name, one in tree.items()
        if name != "_name"
    ]  # fmt: skip
