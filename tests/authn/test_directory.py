"""Names that nobody has twice, changes at the same time, and what survives a reload."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgpack
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from authn import keys
from authn.bootstrap import CATALOGUE, bootstrap
from authn.errors import UnauthorizedError, UnreadableError
from authn.hashing import CHEAP, PasswordHasher
from authn.keys import Assignment
from authn.records import DOMAIN, GROUP, ROLE, USER, Domain, Group, Kind, Project, Role, User
from authn.service import IdentityConfig, IdentityService
from authn.snapshot import IdentitySnapshot
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Compare, Delete, Item, Operation, Put, Registry, Span, memory_registry
from tests.authn.conftest import PASSWORD, Cloud, issued
from tests.twins.clock import ManualClock


async def test_of_many_who_take_a_name_one_has_it(cloud: Cloud, nursery: trio.Nursery) -> None:
    services = [cloud.service, await cloud.another(nursery), await cloud.another(nursery)]
    outcomes: list[str] = []

    async def take(service: IdentityService) -> None:
        try:
            await service.administration.create_project(Project(service.administration.new_id(), "quarry"))
            outcomes.append("made")
        except ConflictError:
            outcomes.append("taken")

    async with trio.open_nursery() as takers:
        for service in services:
            takers.start_soon(take, service)
            takers.start_soon(take, service)
    assert sorted(outcomes) == ["made"] + ["taken"] * 5
    await wait_all_tasks_blocked()
    found = {service.snapshot.projects.named(("default", "quarry")) for service in services}
    assert len(found) == 1
    assert None not in found


async def test_changes_of_the_same_record_do_not_overwrite_each_other(cloud: Cloud, nursery: trio.Nursery) -> None:
    project = await cloud.project("quarry")
    services = [cloud.service, await cloud.another(nursery)]

    async def add(service: IdentityService, letter: str) -> None:
        await service.administration.update_project(
            project.id, lambda before: replace(before, description=before.description + letter)
        )

    async with trio.open_nursery() as writers:
        for index, letter in enumerate("abcdefgh"):
            writers.start_soon(add, services[index % 2], letter)
    await wait_all_tasks_blocked()
    for service in services:
        assert sorted(service.snapshot.projects.require(project.id).description) == list("abcdefgh")


async def test_a_name_is_free_again_after_a_rename_and_a_deletion(cloud: Cloud) -> None:
    administration = cloud.service.administration
    project = await cloud.project("quarry")
    await administration.update_project(project.id, lambda before: replace(before, name="pit"))
    other = await cloud.project("quarry")
    with pytest.raises(ConflictError):
        await administration.update_project(other.id, lambda before: replace(before, name="pit"))
    await administration.delete_project(project.id)
    assert (await cloud.project("pit")).id != project.id


async def test_a_service_that_starts_later_knows_the_same(cloud: Cloud, nursery: trio.Nursery) -> None:
    project = await cloud.project("quarry")
    user = await cloud.user("ann", project)
    later = await cloud.another(nursery)
    for table in ("domains", "projects", "users", "roles", "services", "endpoints"):
        before = {record.id: record for record in getattr(cloud.service.snapshot, table)}
        assert {record.id: record for record in getattr(later.snapshot, table)} == before
    held = later.snapshot.held.of_actor("user", user.id)
    assert held == cloud.service.snapshot.held.of_actor("user", user.id)
    assert len(held) == 1


async def test_a_deletion_takes_along_more_roles_than_one_transaction_holds(cloud: Cloud) -> None:
    user = await cloud.user("ann")
    for number in range(130):
        project = await cloud.project(f"p{number}")
        await cloud.service.administration.assign(Assignment(user.id, project.id, cloud.made.role_ids["reader"]))
    held = await cloud.registry.range(Span.prefix(b"identity/assignment/"))
    await cloud.service.administration.delete_user(user.id)
    assert len(held) - len(await cloud.registry.range(Span.prefix(b"identity/assignment/"))) == 130


async def test_roles_are_held_only_among_what_exists(cloud: Cloud) -> None:
    project, user = await cloud.project("quarry"), await cloud.user("ann")
    role = cloud.made.role_ids["member"]
    for held in (
        Assignment("x", project.id, role),
        Assignment(user.id, "x", role),
        Assignment(user.id, project.id, "x"),
    ):
        with pytest.raises(NotFoundError):
            await cloud.service.administration.assign(held)
        with pytest.raises(NotFoundError):
            await cloud.service.administration.unassign(held)


@pytest.mark.parametrize("name", ["", "  ", "x" * 256, "a\nb", "\x1f", chr(0xD800), chr(0xDFFF)])
async def test_names_that_are_none(cloud: Cloud, name: str) -> None:
    with pytest.raises(InvalidError, match="The name of a user"):
        await cloud.service.administration.create_user(User("0" * 32, name), PASSWORD)


@pytest.mark.parametrize("name", ["x", "x" * 255, "a b", "\u00fc\ud7ff\ue000"])
async def test_names_that_are_some(cloud: Cloud, name: str) -> None:
    made = await cloud.service.administration.create_user(User("0" * 32, name), PASSWORD)
    assert made.name == name


async def test_the_history_may_be_gone_when_the_watch_comes_to_it(nursery: trio.Nursery) -> None:
    clock = ManualClock()
    registry = memory_registry(clock, history_events=5)
    made = await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
    service = IdentityService(registry, IdentityConfig(hash_cost=CHEAP), clock=clock)
    await nursery.start(lambda task_status: service.run(task_status=task_status))
    project = service.snapshot.projects.require(made.project_id)
    token = issued(service, service.snapshot.users.require(made.user_id), project)
    assert await service.identify(token)
    puts = [Put(item.key, item.value) for item in await registry.range(Span.prefix(b"identity/"))]
    gone = replace(service.snapshot.users.require(made.user_id), enabled=False)
    key = f"identity/user/{made.user_id}".encode()
    puts = [Put(key, service.snapshot.users.kind.codec.encode(gone)) if put.key == key else put for put in puts]
    await registry.transact((), puts)
    await wait_all_tasks_blocked()
    assert await service.identify(token) is None


def newer(value: bytes) -> bytes:
    """The same record as a version yet to come."""
    packed: bytes = msgpack.packb([99, *msgpack.unpackb(value)[1:]])
    return packed


@pytest.mark.parametrize("kind", ["user", "project", "role", "domain", "assignment", "token-keys", "unheard-of"])
@pytest.mark.parametrize("when", ["at the start", "while it runs"])
async def test_what_a_newer_program_wrote_gives_nobody_rights_and_stops_nothing(
    nursery: trio.Nursery, kind: str, when: str
) -> None:
    clock = ManualClock()
    registry = memory_registry(clock)
    made = await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
    puts = [
        Put(item.key, newer(item.value))
        for item in await registry.range(Span.prefix(b"identity/"))
        if item.key.split(b"/")[1] == kind.encode()
    ] or [Put(b"identity/unheard-of/x", b"")]
    service = IdentityService(registry, IdentityConfig(hash_cost=CHEAP), clock=clock)
    token = ""
    if when == "at the start":
        await registry.transact((), puts)
        await nursery.start(lambda task_status: service.run(task_status=task_status))
    else:
        await nursery.start(lambda task_status: service.run(task_status=task_status))
        project = service.snapshot.projects.require(made.project_id)
        token = issued(service, service.snapshot.users.require(made.user_id), project)
        assert await service.identify(token)
        await registry.transact((), puts)
        await wait_all_tasks_blocked()
    assert set(service.snapshot.unreadable) == {put.key for put in puts}
    if kind == "unheard-of":
        assert await service.login.by_name("admin", PASSWORD)
    elif token and kind == "token-keys":
        with pytest.raises(UnreadableError):  # it is not known that it does not hold
            await service.identify(token)
    elif token:
        identity = await service.identify(token)
        assert identity is None or not identity.roles
    if kind in ("user", "domain"):
        with pytest.raises(UnauthorizedError):
            await service.login.by_name("admin", PASSWORD)


async def test_bootstrap_again_changes_only_what_it_is_told(cloud: Cloud) -> None:
    before = await cloud.registry.range(Span.prefix(b"identity/"))
    again = await bootstrap(cloud.registry, hasher=PasswordHasher(CHEAP))
    assert (again.project_id, again.user_id, again.password, again.created) == (
        cloud.made.project_id,
        cloud.made.user_id,
        None,
        (),
    )
    assert await cloud.registry.range(Span.prefix(b"identity/")) == before
    changed = await bootstrap(
        cloud.registry, password="new", base_url="https://cloud.example/", hasher=PasswordHasher(CHEAP)
    )
    assert changed.password == "new"
    await wait_all_tasks_blocked()
    assert await cloud.service.login.by_name("admin", "new")
    urls = {endpoint.url for endpoint in cloud.service.snapshot.endpoints}
    assert urls == {f"https://cloud.example{path}" for _, _, path in CATALOGUE}


async def test_a_generated_password_is_told_once() -> None:
    registry = memory_registry(ManualClock())
    made = await bootstrap(registry, hasher=PasswordHasher(CHEAP))
    assert made.password is not None
    assert len(made.password) == 24


async def test_machines_that_start_together_make_one_identity() -> None:
    registry = memory_registry(ManualClock())
    made = []

    async def start() -> None:
        made.append(await bootstrap(registry, hasher=PasswordHasher(CHEAP)))

    async with trio.open_nursery() as machines:
        for _ in range(4):
            machines.start_soon(start)
    assert len({(one.project_id, one.user_id) for one in made}) == 1
    assert sum(one.password is not None for one in made) == 1
    created = [what for one in made for what in one.created]
    assert sorted(created) == sorted(set(created))
    service = IdentityService(registry)
    await service.directory.load()
    assert [len(list(table)) for table in (service.snapshot.services, service.snapshot.endpoints)] == [
        len(CATALOGUE),
        3 * len(CATALOGUE),
    ]


@dataclass
class LateAnswers:
    """A registry whose answers to transactions arrive after the watch has told what came of it meanwhile."""

    registry: Registry
    meanwhile: list[Delete]

    async def revision(self) -> int:
        return await self.registry.revision()

    async def range(self, span: Span, *, limit: int | None = None, reverse: bool = False) -> list[Item]:
        return await self.registry.range(span, limit=limit, reverse=reverse)

    async def transact(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> Any:
        result = await self.registry.transact(compares, then, otherwise)
        if self.meanwhile:
            await self.registry.transact((), [self.meanwhile.pop()])
            await wait_all_tasks_blocked()
        return result

    def watch(self, span: Span, from_revision: int = 0) -> Any:
        return self.registry.watch(span, from_revision)


@pytest.mark.parametrize("how", ["written", "read"])
async def test_an_answer_that_is_late_brings_nothing_back(cloud: Cloud, nursery: trio.Nursery, how: str) -> None:
    project, ann = await cloud.project("quarry"), await cloud.user("ann")
    held = Assignment(ann.id, project.id, cloud.made.role_ids["member"])
    if how == "read":
        await cloud.service.administration.assign(held)
    registry: Any = LateAnswers(cloud.registry, [])
    late = IdentityService(registry, IdentityConfig(hash_cost=CHEAP), clock=cloud.clock)
    await nursery.start(lambda task_status: late.run(task_status=task_status))
    registry.meanwhile.append(Delete(keys.assignment(held)))
    if how == "read":
        await late.directory.refresh([keys.assignment(held)])
    else:
        await late.administration.assign(held)
    assert held not in cloud.service.snapshot.held
    assert held not in late.snapshot.held


async def test_what_was_so_already_is_acknowledged_only_if_it_still_is(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    ann = await cloud.user("ann", project)
    held = Assignment(ann.id, project.id, cloud.made.role_ids["member"])
    here, link = cloud.service.administration, keys.Link(keys.MEMBER, "g" * 32, ann.id)
    await here.create(GROUP, lambda snapshot: snapshot.groups, Group(link.one, "crew"))
    ends = keys.record(GROUP, link.one), keys.record(USER, ann.id)
    await here.link(link, *ends)
    await here.update_user(ann.id, lambda before: replace(before, enabled=False))
    behind = IdentityService(cloud.registry, IdentityConfig(hash_cost=CHEAP), clock=cloud.clock)
    await behind.directory.load()
    await here.unassign(held)
    await here.unlink(link, "")
    await here.update_user(ann.id, lambda before: replace(before, enabled=True))
    await behind.administration.assign(held)
    await behind.administration.link(link, *ends)
    await behind.administration.update_user(ann.id, lambda before: replace(before, enabled=False))
    await wait_all_tasks_blocked()
    assert held in cloud.service.snapshot.held
    assert link in cloud.service.snapshot.links
    assert not cloud.service.snapshot.users.require(ann.id).enabled


class CountedReads(LateAnswers):
    """Counts how often everything is read."""

    reads = 0

    async def range(self, span: Span, *, limit: int | None = None, reverse: bool = False) -> list[Item]:
        self.reads += span.start == keys.EVERYTHING.start
        return await super().range(span, limit=limit, reverse=reverse)


async def test_a_start_reads_everything_once_and_overlooks_nothing(nursery: trio.Nursery) -> None:
    clock = ManualClock()
    registry: Any = CountedReads(memory_registry(clock), [])
    service = IdentityService(registry, IdentityConfig(hash_cost=CHEAP), clock=clock)
    await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP), directory=service.directory)
    other = IdentityService(registry.registry, IdentityConfig(hash_cost=CHEAP), clock=clock)
    await other.directory.load()
    await other.administration.create_project(Project("0" * 32, "meanwhile"))
    await nursery.start(lambda task_status: service.run(task_status=task_status))
    await wait_all_tasks_blocked()
    assert registry.reads == 1
    assert service.snapshot.projects.named(("default", "admin")) is not None
    assert service.snapshot.projects.named(("default", "meanwhile")) is not None


async def test_others_have_their_turn_while_everything_is_read(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has lost the watch reads everything anew, in the midst of all requests; what these write meanwhile is not
    lost."""
    monkeypatch.setattr("authn.directory.PAGE", 1)
    service = IdentityService(cloud.registry, IdentityConfig(hash_cost=CHEAP), clock=cloud.clock)
    await service.directory.load()
    project = Project(service.administration.new_id(), "meanwhile")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.directory.load)
        before = service.snapshot
        await service.administration.create_project(project)
        assert service.snapshot is before, "still being read"
        assert before.projects.get(project.id) is not None
    assert service.snapshot is not before
    assert service.snapshot.projects.get(project.id) is not None


@pytest.mark.parametrize("kind", [GROUP, DOMAIN, ROLE])
async def test_a_name_that_was_anothers_when_the_watch_tells_of_it(
    cloud: Cloud, nursery: trio.Nursery, kind: Kind[Any]
) -> None:
    """Others made a record of the name and deleted it; then we made ours, before the watch told of theirs."""
    make: dict[Any, Callable[[str], Any]] = {
        GROUP: lambda id_: Group(id_, "x"),
        DOMAIN: lambda id_: Domain(id_, "x"),
        ROLE: lambda id_: Role(id_, "x"),
    }

    def table(snapshot: IdentitySnapshot) -> Any:
        return {GROUP: snapshot.groups, DOMAIN: snapshot.domains, ROLE: snapshot.roles}[kind]

    late = IdentityService(cloud.registry, IdentityConfig(hash_cost=CHEAP), clock=cloud.clock)
    await late.directory.load()
    theirs, ours = make[kind]("a" * 32), make[kind]("b" * 32)
    await cloud.service.administration.create(kind, table, theirs)
    await cloud.service.administration.delete(kind, table, theirs.id)
    await late.administration.create(kind, table, ours)
    await nursery.start(lambda task_status: late.run(task_status=task_status))
    await wait_all_tasks_blocked()
    assert table(late.snapshot).named(ours.unique_name) == ours
