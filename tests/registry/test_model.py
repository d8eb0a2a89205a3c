"""All forms against one dumb model, by random calls. For the local forms time passes, and the embedded one is reopened
in between."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from store.registry import (
    Compare,
    Delete,
    DeleteRange,
    Event,
    Get,
    Item,
    Put,
    Registry,
    Span,
    memory_registry,
    open_embedded,
)
from store.registry.etcd import EtcdRegistry, open_client
from store.registry.etcd.registry import EtcdLease
from store.registry.local import LocalRegistry
from tests.registry.conftest import end_leases, new_registry
from tests.registry.over_links import over_link

KEYS = st.sampled_from([b"a", b"a\x00", b"ab", b"b", b"\xff"])
VALUES = st.sampled_from([b"", b"1", b"2"])
SPANS = st.builds(Span.prefix, st.sampled_from([b"", b"a", b"ab", b"\xff"])) | st.builds(Span, KEYS, KEYS)
NUMBERS = st.integers(0, 6)
COMPARES = st.builds(
    Compare, KEYS, st.sampled_from(["create_revision", "mod_revision", "version"]), st.sampled_from("<>"), NUMBERS
) | st.builds(Compare, KEYS, st.just("value"), st.sampled_from(["==", "!="]), VALUES)


Reader = Callable[[Span, int, int], list[Event]]


class HandClock:
    """Time that only a test moves."""

    now = 0.0

    def wall_us(self) -> int:
        return int(self.now * 1e6)

    def monotonic(self) -> float:
        return self.now


class Model:
    """The promise in its shortest form: a dict, and a list of events."""

    def __init__(self) -> None:
        self.revision = 1
        self.items: dict[bytes, Item] = {}
        self.events: list[Event] = []
        self.leases: dict[int, float] = {}

    def apply(self, changes: dict[bytes, tuple[bytes, int] | None]) -> None:
        if not changes:
            return
        self.revision += 1
        for key, change in sorted(changes.items()):
            item = None
            if change is not None:
                old = self.items.get(key)
                created = old.create_revision if old else self.revision
                item = Item(key, change[0], created, self.revision, old.version + 1 if old else 1, change[1])
                self.items[key] = item
            else:
                del self.items[key]
            self.events.append(Event(key, self.revision, item))

    def holds(self, compare: Compare) -> bool:
        item: Any = self.items.get(compare.key)
        if compare.target == "value":
            return item is not None and (item.value == compare.operand) == (compare.relation == "==")
        number: int = getattr(item, compare.target) if item else 0
        assert isinstance(compare.operand, int)
        return number < compare.operand if compare.relation == "<" else number > compare.operand

    def span(self, span: Span) -> list[Item]:
        return [self.items[key] for key in sorted(self.items) if span.holds(key)]

    def end(self, lease: int) -> None:
        del self.leases[lease]
        self.apply({key: None for key, item in self.items.items() if item.lease == lease})


class Calls(RuleBasedStateMachine):
    """What is asked of any form."""

    ttl_unit_s = 1

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.clock = HandClock()
        self.ttl: dict[int, int] = {}

    def ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def pasts(self) -> Iterator[tuple[Reader, int]]:
        """Each form by a function that reads from its past, and the revision where that begins."""
        raise NotImplementedError

    @rule(
        compares=st.lists(COMPARES, max_size=2),
        puts=st.dictionaries(KEYS, VALUES, max_size=3),
        deletes=st.sets(KEYS, max_size=2),
        span=st.none() | SPANS,
        data=st.data(),
    )
    def transact(
        self,
        compares: list[Compare],
        puts: dict[bytes, bytes],
        deletes: set[bytes],
        span: Span | None,
        data: st.DataObject,
    ) -> None:
        lease = data.draw(st.sampled_from([0, *self.model.leases]))
        puts = {k: v for k, v in puts.items() if k not in deletes and not (span and span.holds(k))}
        operations = [
            *[Get(key) for key in puts],
            *[Put(key, value, lease) for key, value in puts.items()],
            *[Delete(key) for key in sorted(deletes)],
            *([DeleteRange(span)] if span else []),
        ]
        answers: list[Item | int | None] = [self.model.items.get(key) for key in puts]
        answers += [None for _ in puts]
        changes: dict[bytes, tuple[bytes, int] | None] = {key: (value, lease) for key, value in puts.items()}
        for key in sorted(deletes):
            answers.append(int(key in self.model.items))
            if key in self.model.items:
                changes[key] = None
        if span:
            more = [item.key for item in self.model.span(span) if item.key not in deletes]
            answers.append(len(more))
            changes.update(dict.fromkeys(more))
        result = self.ask("transact", compares, operations, [Get(b"a")])
        if all(self.model.holds(compare) for compare in compares):
            self.model.apply(changes)
            assert result.succeeded
            assert list(result.answers) == answers
        else:
            assert not result.succeeded
            assert list(result.answers) == [self.model.items.get(b"a")]
        assert result.revision == self.model.revision

    @rule(units=st.integers(1, 20))
    def lease(self, units: int) -> None:
        ttl_s = units * self.ttl_unit_s
        lease = self.ask("lease", ttl_s)
        assert lease.id not in self.ttl
        self.model.leases[lease.id] = self.clock.now + ttl_s
        self.ttl[lease.id] = ttl_s

    @rule(data=st.data(), revoke=st.booleans())
    def touch_lease(self, data: st.DataObject, revoke: bool) -> None:
        if not self.model.leases:
            return
        lease = data.draw(st.sampled_from(sorted(self.model.leases)))
        if revoke:
            self.ask("revoke", lease)
            self.model.end(lease)
        else:
            self.ask("keep_alive", lease)
            self.model.leases[lease] = self.clock.now + self.ttl[lease]

    @rule(span=SPANS, limit=st.none() | st.integers(1, 3), reverse=st.booleans())
    def range(self, span: Span, limit: int | None, reverse: bool) -> None:
        expected = self.model.span(span)
        assert (
            self.ask("range", span, limit=limit, reverse=reverse) == (expected[::-1] if reverse else expected)[:limit]
        )

    @rule(span=SPANS)
    def watch(self, span: Span) -> None:
        self.ask("revision")
        for read, since in self.pasts():
            expected = [event for event in self.model.events if event.revision >= since and span.holds(event.key)]
            assert read(span, since, len(expected)) == expected

    @invariant()
    def revisions_agree(self) -> None:
        assert self.ask("revision") == self.model.revision


async def read(registry: Registry, span: Span, since: int, count: int) -> list[Event]:
    async with registry.watch(span, since) as events:
        return [await anext(events) for _ in range(count)]


class LocalForms(Calls):
    def __init__(self) -> None:
        super().__init__()
        self.path = tempfile.mkdtemp(prefix="drystone-registry-")
        self.memory = memory_registry(self.clock)
        self.served = memory_registry(self.clock)
        """Asked over a link, a new one for each call."""
        self.stack = ExitStack()
        self.embedded = self.stack.enter_context(open_embedded(self.path, self.clock))
        self.reopened_at = 1

    def teardown(self) -> None:
        self.stack.close()
        shutil.rmtree(self.path)

    def ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        async def call(registry: LocalRegistry) -> Any:
            return await getattr(registry, method)(*args, **kwargs)

        async def call_served() -> Any:
            async with over_link(self.served) as registry:
                return await getattr(registry, method)(*args, **kwargs)

        memory, embedded, served = trio.run(call, self.memory), trio.run(call, self.embedded), trio.run(call_served)
        if method == "lease":
            assert memory.id == embedded.id == served.id
        else:
            assert memory == embedded == served
        return memory

    def pasts(self) -> Iterator[tuple[Reader, int]]:
        yield self.reader(self.memory), 2
        yield self.reader(self.embedded), self.reopened_at + 1
        yield self.read_served, 2

    @staticmethod
    def reader(registry: LocalRegistry) -> Reader:
        return lambda span, since, count: trio.run(read, registry, span, since, count)

    def read_served(self, span: Span, since: int, count: int) -> list[Event]:
        async def call() -> list[Event]:
            async with over_link(self.served) as registry:
                return await read(registry, span, since, count)

        return trio.run(call)

    @rule(seconds=st.integers(1, 10))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds
        for _, lease in sorted((ends, lease) for lease, ends in self.model.leases.items()):
            if self.model.leases[lease] <= self.clock.now:
                self.model.end(lease)

    @rule()
    def reopen(self) -> None:
        # The memory form must not run ahead while the leases of the reopened one begin anew.
        for lease in self.model.leases:
            self.ask("keep_alive", lease)
            self.model.leases[lease] = self.clock.now + self.ttl[lease]
        self.ask("revision")
        self.stack.close()
        self.embedded = self.stack.enter_context(open_embedded(self.path, self.clock))
        self.reopened_at = self.model.revision


TestLocalForms = LocalForms.TestCase
TestLocalForms.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, derandomize=True)


class EtcdForm(Calls):
    """Leases that do not end by themselves: etcd's time is not in our hand. Each call has a client of its own."""

    ttl_unit_s = 1000

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.prefix = new_registry(self.url)

    def teardown(self) -> None:
        end_leases(self.url)

    def ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        async def call() -> Any:
            async with open_client([self.url]) as client:
                if method in ("keep_alive", "revoke"):
                    return await getattr(EtcdLease(client, args[0], 1), method)()
                return await getattr(EtcdRegistry(client, self.prefix), method)(*args, **kwargs)

        return trio.run(call)

    def pasts(self) -> Iterator[tuple[Reader, int]]:
        async def read_there(span: Span, since: int, count: int) -> list[Event]:
            async with open_client([self.url]) as client:
                return await read(EtcdRegistry(client, self.prefix), span, since, count)

        yield lambda span, since, count: trio.run(read_there, span, since, count), 2


def test_etcd(etcd_url: str) -> None:
    bounds = settings(max_examples=15, stateful_step_count=20, deadline=None, derandomize=True)
    EtcdForm.url = etcd_url
    run_state_machine_as_test(EtcdForm, settings=bounds)
