"""The block map against a dict, with checkpoints, pages that leave memory, and being opened anew from a checkpoint."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from store.blocks.block_map import BlockMap, Frozen
from store.blocks.page_table import PAGE_ENTRIES
from store.blocks.place import HOLE, OBJECT_SHIFT, ZERO, pack, unpack

DEPTH = 3
FAR = PAGE_ENTRIES * PAGE_ENTRIES
"""Blocks of one directory."""
BASES = (0, PAGE_ENTRIES - 5, FAR - 4, 2 * FAR)
starts = st.builds(lambda base, offset: base + offset, st.sampled_from(BASES), st.integers(0, 6))
counts = st.integers(1, 12) | st.just(PAGE_ENTRIES + 30)


class MapMachine(RuleBasedStateMachine):
    """What was put is looked up; what is counted is what there is."""

    @initialize()
    def begin(self) -> None:
        self.map = BlockMap()
        self.model: dict[int, int] = {}
        self.checkpoints: dict[int, Frozen] = {}
        self.frozen: Frozen | None = None
        self.frozen_model: dict[int, int] = {}
        self.saved: tuple[Frozen, dict[int, int]] | None = None
        self.objects = 0

    def load(self, first: int, count: int) -> None:
        for _ in range(2):
            for missing in self.map.missing(first, count):
                place = unpack(missing.place)
                assert place.depth == DEPTH
                self.map.loaded(missing, self.checkpoints[place.object].pages[place.page - 1].tobytes())
        assert not self.map.missing(first, count)

    def new_place(self) -> int:
        self.objects += 1
        return pack(DEPTH, self.objects, 1 + self.objects % 7)

    @rule(first=starts, count=counts)
    def write(self, first: int, count: int) -> None:
        self.load(first, count)
        place = self.new_place()
        self.map.put(first, count, place)
        self.model |= {first + at: place + at for at in range(count)}

    @rule(first=starts, count=counts, place=st.sampled_from([HOLE, ZERO]))
    def clear(self, first: int, count: int, place: int) -> None:
        self.load(first, count)
        self.map.put(first, count, place)
        self.model |= dict.fromkeys(range(first, first + count), place)

    @precondition(lambda self: self.frozen is None)
    @rule(first=starts, count=counts, kind=st.sampled_from([None, HOLE, ZERO]))
    def write_later(self, first: int, count: int, kind: int | None) -> None:
        place = self.new_place() if kind is None else kind
        self.map.put_later(first, count, place)
        self.model |= {first + at: place + at if kind is None else place for at in range(count)}

    @precondition(lambda self: self.frozen is None)
    @rule(first=starts, count=counts, aside=st.integers(0, 1))
    def move_later(self, first: int, count: int, aside: int) -> None:
        origin, place = self.model.get(first, HOLE) + aside, self.new_place()
        if origin <= ZERO + aside:
            return
        self.map.move_later(first, count, origin, place)
        self.model |= {first + at: place + at for at in range(count) if self.model.get(first + at) == origin + at}

    @rule()
    def catch_up(self) -> None:
        for number in self.map.behind:
            self.load(number * PAGE_ENTRIES, 1)
        assert not self.map.behind

    @rule(first=starts, count=counts, data=st.data())
    def move(self, first: int, count: int, data: st.DataObject) -> None:
        """From where the first of them lies, or from somewhere else."""
        self.load(first, count)
        origin = self.model.get(first, HOLE)
        if origin <= ZERO or data.draw(st.integers(0, 4)) == 0:
            origin = pack(DEPTH, 1_000_000, 1)
        place = self.new_place()
        expected = [at for at in range(count) if self.model.get(first + at) == origin + at]
        assert self.map.move(first, count, origin, place) == len(expected)
        self.model |= {first + at: place + at for at in expected}

    @rule(first=starts, count=counts)
    def look(self, first: int, count: int) -> None:
        self.load(first, count)
        runs = self.map.look(first, count)
        found = [run.place + at if run.place > ZERO else run.place for run in runs for at in range(run.blocks)]
        assert found == [self.model.get(first + at, HOLE) for at in range(count)]
        assert [run.first for run in runs] == [first + sum(run.blocks for run in runs[:at]) for at in range(len(runs))]
        for one, other in pairwise(runs):
            assert other.place != (one.place + one.blocks if one.place > ZERO else one.place), "not joined"

    @precondition(lambda self: self.frozen is None and self.map.dirty_leaves)
    @rule()
    def freeze(self) -> None:
        self.catch_up()
        number = len(self.checkpoints) + 1
        frozen = self.map.freeze(DEPTH, number)
        copied = [page[:] for page in frozen.pages]
        self.checkpoints[number] = frozen._replace(pages=copied)
        self.frozen, self.frozen_model = frozen, dict(self.model)

    @precondition(lambda self: self.frozen is not None)
    @rule()
    def stored(self) -> None:
        assert self.frozen is not None
        number = len(self.checkpoints)
        assert self.frozen.pages == self.checkpoints[number].pages, "changed while it was stored"
        self.map.stored()
        self.saved, self.frozen = (self.checkpoints[number], self.frozen_model), None

    @rule(keep=st.integers(0, 3))
    def evict(self, keep: int) -> None:
        self.map.evict(keep)
        assert self.map.clean_pages <= keep

    @precondition(lambda self: self.saved is not None)
    @rule()
    def open_anew(self) -> None:
        assert self.saved is not None
        frozen, model = self.saved
        self.map = BlockMap(frozen.top, frozen.objects, frozen.checkpoints)
        self.model, self.frozen = dict(model), None

    @precondition(lambda self: not self.map.behind)
    @invariant()
    def what_is_needed_is_counted(self) -> None:
        assert self.map.objects == Counter(place >> OBJECT_SHIFT for place in self.model.values() if place > ZERO)

    @precondition(lambda self: self.saved is not None)
    @invariant()
    def pages_that_are_needed_are_counted(self) -> None:
        """Those that the last checkpoint names."""
        assert self.saved is not None
        frozen = self.saved[0]
        named = [place for place in frozen.top if place]
        for place in list(named):
            at = unpack(place)
            named += [leaf for leaf in self.checkpoints[at.object].pages[at.page - 1] if leaf]
        assert frozen.checkpoints == Counter(place >> OBJECT_SHIFT for place in named)


MapMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestBlockMap = MapMachine.TestCase
