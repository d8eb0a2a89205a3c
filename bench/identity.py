"""`python -m bench identity`: tokens issued and validated, beside a Keystone that somebody else runs.

Of each: a token is validated by another's (`GET /v3/auth/tokens`), a token is issued for a token (no password is worked
out, so that the service itself is measured), and one is issued for a password. Several connections ask at once, as
services do.

What a password costs is what its hash costs: Drystone's is argon2id, Keystone's what its configuration says, bcrypt by
default. With `--keystone-scrypt` it is taken to be scrypt of these parameters (`password_hash_algorithm = scrypt`,
`scrypt_block_size`, `scrypt_parallelism`; Keystone 30 always takes 16 rounds): both hashes are timed alone, and logins
are compared at equal cost, which is how much hashing each service gets done in a second.

`python -m bench identity-growth`: the same with ever more users, projects and assignments.
"""

from __future__ import annotations

import gc
import hashlib
import http.client
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import argon2
import click
import trio

from authn.administration import Administration
from authn.bootstrap import bootstrap
from authn.directory import Directory
from authn.hashing import CHEAP, HashCost, PasswordHasher
from authn.keys import PROJECT_TARGET, Assignment
from authn.records import PROJECT, USER, Project, User
from authn.rights import SYSTEM, Scope
from authn.service import IdentityConfig, IdentityService
from authn.tokens import Proof
from authn.v3 import IdentityApp
from bench.process_figures import memory
from bench.targets import administrator, drystone
from drystone.up import GC_THRESHOLDS
from store.core.clock import SystemClock
from store.core.entropy import SystemRandom
from store.registry import memory_registry

CONNECTIONS = 8


@dataclass(frozen=True)
class Cloud:
    """An identity service and who administers it. `url` ends with /v3."""

    name: str
    url: str
    user: str
    password: str
    project: str


class Caller:
    """One connection, kept."""

    def __init__(self, cloud: Cloud) -> None:
        parts = urlsplit(cloud.url)
        self._path = parts.path
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80)
        self._cloud = cloud

    def issue(self, scope: dict[str, Any] | None, token: str = "") -> str:
        """A token, for a password or for another token."""
        cloud = self._cloud
        identity: dict[str, Any] = {"methods": ["token"], "token": {"id": token}}
        if not token:
            user = {"name": cloud.user, "domain": {"id": "default"}, "password": cloud.password}
            identity = {"methods": ["password"], "password": {"user": user}}
        auth: dict[str, Any] = {"identity": identity, "scope": scope or "unscoped"}
        body = json.dumps({"auth": auth})
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", f"{self._path}/auth/tokens", body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 201:
            raise OSError(f"{cloud.name} answers {answer.status}: {text[:200]!r}")
        return answer.headers["X-Subject-Token"]

    def scoped(self, token: str = "") -> str:
        """A token for the administrator's project."""
        return self.issue({"project": {"name": self._cloud.project, "domain": {"id": "default"}}}, token)

    def validate(self, token: str, subject: str) -> None:
        """Have one token shown to the holder of another."""
        headers = {"X-Auth-Token": token, "X-Subject-Token": subject}
        self._connection.request("GET", f"{self._path}/auth/tokens", headers=headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise OSError(f"{self._cloud.name} answers {answer.status}")


def rate(cloud: Cloud, seconds: float, work: Callable[[Caller], None]) -> float:
    """How often a second all connections together do the work."""
    counts, errors = [0] * CONNECTIONS, list[BaseException]()
    until = time.monotonic() + seconds

    def run(number: int) -> None:
        caller = Caller(cloud)
        try:
            while time.monotonic() < until:
                work(caller)
                counts[number] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(counts) / seconds


def measure(cloud: Cloud, seconds: float) -> dict[str, float]:
    """What the module's text says, a second."""
    first = Caller(cloud)
    token, subject, unscoped = first.scoped(), first.scoped(), first.issue(None)
    return {
        "validate": rate(cloud, seconds, lambda caller: caller.validate(token, subject)),
        "issue for a token": rate(cloud, seconds, lambda caller: _ignored(caller.scoped(unscoped))),
        "issue for a password": rate(cloud, seconds, lambda caller: _ignored(caller.scoped())),
    }


class Scrypt(NamedTuple):
    """How a Keystone hashes passwords."""

    rounds: int
    """The logarithm of how often."""
    block_size: int
    parallelism: int


def _scrypt(_: click.Context, __: click.Parameter, text: str | None) -> Scrypt | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise click.BadParameter("three numbers, such as 16,2,1")
    return Scrypt(*map(int, parts))


def hash_costs(theirs: Scrypt) -> tuple[float, float]:
    """Seconds that one verification takes a processor here: Drystone's at its usual cost, and theirs. The best of
    five."""
    usual = HashCost()
    ours = argon2.PasswordHasher(time_cost=usual.passes, memory_cost=usual.memory_kib, parallelism=1)
    hashed = ours.hash("secret")
    n, r, p = 2**theirs.rounds, theirs.block_size, theirs.parallelism
    room = 128 * r * (n + p + 2) + 2**20

    def scrypt() -> None:
        hashlib.scrypt(b"secret", salt=b"salt" * 4, n=n, r=r, p=p, maxmem=room)

    return _best(lambda: ours.verify(hashed, "secret")), _best(scrypt)


def _best(work: Callable[[], object]) -> float:
    found = []
    for _ in range(5):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def _ignored(_: str) -> None:
    return None


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="Of each kind of request.")
@click.option("--keystone", metavar="URL", help="A Keystone, such as http://127.0.0.1:5000/v3.")
@click.option("--keystone-user", default="admin", show_default=True)
@click.option("--keystone-password", default="secret", show_default=True)
@click.option("--keystone-project", default="admin", show_default=True)
@click.option("--keystone-scrypt", callback=_scrypt, metavar="N,R,P", help="How it hashes passwords, such as 16,2,1.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(
    seconds: float,
    keystone: str | None,
    keystone_user: str,
    keystone_password: str,
    keystone_project: str,
    keystone_scrypt: Scrypt | None,
    where: str,
) -> None:
    """Tokens issued and validated, beside Keystone."""
    with drystone("drystone", where) as target:
        click.echo(f"drystone at rest: {memory(target.pid) / 2**20:.0f} MiB of its own")
        settings = administrator(target.folder)
        cloud = Cloud(
            "drystone",
            settings["OS_AUTH_URL"],
            settings["OS_USERNAME"],
            settings["OS_PASSWORD"],
            settings["OS_PROJECT_NAME"],
        )
        own = measure(cloud, seconds)
        peer = Cloud("keystone", keystone or "", keystone_user, keystone_password, keystone_project)
        other = measure(peer, seconds) if keystone else {}
    for what, count in own.items():
        beside = f", keystone {other[what]:,.1f}/s: {count / other[what]:.1f} times" if other else ""
        click.echo(f"{what}: drystone {count:,.1f}/s{beside}")
    if other and keystone_scrypt:
        ours, theirs = hash_costs(keystone_scrypt)
        done = own["issue for a password"] * ours, other["issue for a password"] * theirs
        click.echo(
            f"one hash: argon2id {ours * 1000:.0f} ms, scrypt {theirs * 1000:.0f} ms; hashing in a second of logins: "
            f"drystone {done[0]:.2f} s, keystone {done[1]:.2f} s: {done[0] / done[1]:.2f} times at equal cost"
        )


@click.command()
@click.option("--counts", default="1000,10000,100000", show_default=True, help="Users, projects and assignments each.")
@click.option("--seconds", default=2.0, show_default=True, help="Of each kind of question.")
def growth(counts: str, seconds: float) -> None:
    """Tokens, lists and a start with ever more users, projects and assignments; in one process, without HTTP."""
    gc.set_threshold(*GC_THRESHOLDS)  # as the program has it
    click.echo("each    issue/s  validate/s  one by name/s  page of 100/s  start s  memory MiB")
    for count in map(int, counts.split(",")):
        trio.run(_grown, count, seconds)


async def _grown(count: int, seconds: float) -> None:
    registry = memory_registry(SystemClock())
    made = await bootstrap(registry, password="x", hasher=PasswordHasher(CHEAP))
    directory = Directory(registry)
    await directory.load()
    administration = Administration(directory, PasswordHasher(CHEAP), SystemRandom())
    for number in range(count):
        user = User(administration.new_id(), f"user{number}")
        project = Project(administration.new_id(), f"project{number}")
        await administration.create(USER, lambda snapshot: snapshot.users, user)
        await administration.create(PROJECT, lambda snapshot: snapshot.projects, project)
        await administration.assign(Assignment(user.id, project.id, made.role_ids["member"]))
    service = IdentityService(registry, IdentityConfig(hash_cost=CHEAP))
    began = time.perf_counter()
    await service.directory.load()
    start = time.perf_counter() - began
    users = list(service.snapshot.users)[1:]
    places = {held.actor_id: held.target_id for held in service.snapshot.held if held.target == PROJECT_TARGET}

    def issue(number: int) -> str:
        user = users[number * 7919 % len(users)]
        proof = Proof(user, frozenset({"password"}))
        return service.tokens.issue(proof, Scope(PROJECT_TARGET, places[user.id]))[0]

    tokens = [issue(number) for number in range(1000)]
    issued = _paced(seconds, lambda number: _ignored(issue(number)))
    validated = 0
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        assert await service.tokens.read(tokens[validated % len(tokens)]) is not None
        validated += 1

    administrator = Proof(service.snapshot.users.require(made.user_id), frozenset({"password"}))
    app, admin = IdentityApp(service), service.tokens.issue(administrator, SYSTEM)[0]
    by_name = await _lists(app, admin, seconds, lambda number: f"name=user{number % count}")
    pages = await _lists(app, admin, seconds, lambda number: f"limit=100&marker={users[number * 7919 % len(users)].id}")
    click.echo(
        f"{count:<7,} {issued:>7,.0f} {validated / seconds:>11,.0f} {by_name:>14,.0f} {pages:>14,.0f}"
        f" {start:>8.2f} {_own_memory():>11,.0f}"
    )


async def _lists(app: IdentityApp, token: str, seconds: float, query: Callable[[int], str]) -> float:
    """How many lists of users a second the application answers."""
    done, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        scope = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "path": "/identity/v3/users",
            "query_string": query(done).encode(),
            "headers": [(b"host", b"bench"), (b"x-auth-token", token.encode())],
            "extensions": {},
        }

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            assert message.get("status", 200) == 200

        await app(scope, receive, send)
        done += 1
    return done / seconds


def _paced(seconds: float, work: Callable[[int], None]) -> float:
    done, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        work(done)
        done += 1
    return done / seconds


def _own_memory() -> float:
    return memory(os.getpid()) / 2**20
