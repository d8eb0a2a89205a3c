"""Both forms against one dumb model, by random calls; the embedded form is reopened in between."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from typing import Any

import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from store.registry import Compare, Delete, DeleteRange, Event, Get, Item, Put, Span, memory_registry, open_embedded
from store.registry.local import LocalRegistry

KEYS = st.sampled_from([b"a", b"a\x00", b"ab", b"b", b"\xff"])
VALUES = st.sampled_from([b"", b"1", b"2"])
SPANS = st.builds(Span.prefix, st.sampled_from([b"", b"a", b"ab", b"\xff"])) | st.builds(Span, KEYS, KEYS)
NUMBERS = st.integers(0, 6)
COMPARES = st.builds(
    Compare, KEYS, st.sampled_from(["create_revision", "mod_revision", "version"]), st.sampled_from("<>"), NUMBERS
) | st.builds(Compare, KEYS, st.just("value"), st.sampled_from(["==", "!="]), VALUES)


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


class Forms(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.path = tempfile.mkdtemp(prefix="drystone-registry-")
        self.clock = HandClock()
        self.model = Model()
        self.memory = memory_registry(self.clock)
        self.stack = ExitStack()
        self.embedded = self.stack.enter_context(open_embedded(self.path, self.clock))
        self.reopened_at = 1

    def teardown(self) -> None:
        if hasattr(self, "path"):
            self.stack.close()
            shutil.rmtree(self.path)

    def both(self, method: str, *args: Any, **kwargs: Any) -> Any:
        async def call(registry: LocalRegistry) -> Any:
            return await getattr(registry, method)(*args, **kwargs)

        memory, embedded = trio.run(call, self.memory), trio.run(call, self.embedded)
        if method != "lease":
            assert memory == embedded
        return memory

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
        result = self.both("transact", compares, operations, [Get(b"a")])
        if all(self.model.holds(compare) for compare in compares):
            self.model.apply(changes)
            assert result.succeeded
            assert list(result.answers) == answers
        else:
            assert not result.succeeded
            assert list(result.answers) == [self.model.items.get(b"a")]
        assert result.revision == self.model.revision

    @rule(ttl_s=st.integers(1, 20))
    def lease(self, ttl_s: int) -> None:
        lease = self.both("lease", ttl_s)
        assert lease.id not in self.model.leases
        self.model.leases[lease.id] = self.clock.now + ttl_s
        self.ttl = {**getattr(self, "ttl", {}), lease.id: ttl_s}

    @rule(seconds=st.integers(1, 10))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds
        for _, lease in sorted((ends, lease) for lease, ends in self.model.leases.items()):
            if self.model.leases[lease] <= self.clock.now:
                self.model.end(lease)

    @rule(data=st.data(), revoke=st.booleans())
    def touch_lease(self, data: st.DataObject, revoke: bool) -> None:
        if not self.model.leases:
            return
        lease = data.draw(st.sampled_from(sorted(self.model.leases)))
        if revoke:
            self.both("revoke", lease)
            self.model.end(lease)
        else:
            self.both("keep_alive", lease)
            self.model.leases[lease] = self.clock.now + self.ttl[lease]

    @rule()
    def reopen(self) -> None:
        # The memory form must not run ahead while the leases of the reopened one begin anew.
        for lease in self.model.leases:
            self.both("keep_alive", lease)
            self.model.leases[lease] = self.clock.now + self.ttl[lease]
        self.both("revision")
        self.stack.close()
        self.embedded = self.stack.enter_context(open_embedded(self.path, self.clock))
        self.reopened_at = self.model.revision

    @rule(span=SPANS, limit=st.none() | st.integers(1, 3), reverse=st.booleans())
    def range(self, span: Span, limit: int | None, reverse: bool) -> None:
        expected = self.model.span(span)
        assert (
            self.both("range", span, limit=limit, reverse=reverse) == (expected[::-1] if reverse else expected)[:limit]
        )

    @rule(span=SPANS)
    def watch(self, span: Span) -> None:
        self.both("revision")
        for registry, since in ((self.memory, 2), (self.embedded, self.reopened_at + 1)):
            expected = [event for event in self.model.events if event.revision >= since and span.holds(event.key)]
            assert trio.run(self.read, registry, span, since, len(expected)) == expected

    async def read(self, registry: LocalRegistry, span: Span, since: int, count: int) -> list[Event]:
        async with registry.watch(span, since) as events:
            return [await anext(events) for _ in range(count)]

    @invariant()
    def revisions_agree(self) -> None:
        if hasattr(self, "path"):
            assert self.both("revision") == self.model.revision


TestForms = Forms.TestCase
TestForms.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, derandomize=True)
