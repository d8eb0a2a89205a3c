"""`SimIndex`: the index in a sorted dictionary. One write is one step: at a cut it survives whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from sortedcontainers import SortedDict

from store.core.errors import DamageError

Entries = list[tuple[bytes, bytes]]


class IndexMedium:
    """What survives of an index."""

    def __init__(self) -> None:
        self.entries: SortedDict = SortedDict()

    def wipe(self) -> None:
        self.entries.clear()

    def copy(self) -> IndexMedium:
        copy = IndexMedium()
        copy.entries = SortedDict(self.entries)
        return copy


def _no_step(_what: str) -> None:
    """No fault comes."""


def _always() -> bool:
    """A cut comes only while something is written."""
    return True


def _nobody(_damage: DamageError) -> None:
    """No device has taken this index yet."""


class SimIndex:
    """Keeps the contract of `store.engine.index.Index`. `step` is called before each write, and may raise: then the
    write survives, or does not, as `random` has it, if what it raises is no ordinary error, and it was just then that
    the power went (`at_the_cut`)."""

    def __init__(
        self,
        medium: IndexMedium,
        step: Callable[[str], None] = _no_step,
        random: Random | None = None,
        at_the_cut: Callable[[], bool] = _always,
    ) -> None:
        self._medium = medium
        self._step = step
        self._random = random
        self._at_the_cut = at_the_cut
        self._on_broken: Callable[[DamageError], None] = _nobody

    def watch(self, on_broken: Callable[[DamageError], None]) -> None:
        self._on_broken = on_broken

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._medium.entries.get(key)
        return value

    def peek(self, key: bytes) -> bytes | None:
        return self.get(key)

    def let_go(self) -> None:
        pass

    def range(self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False) -> Entries:
        entries = self._medium.entries
        found: Entries = []
        for key in entries.irange(start, stop, inclusive=(True, False), reverse=reverse):
            if len(found) >= limit:
                break
            found.append((key, entries[key]))
        return found

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        whole = list(changes)
        try:
            self._step(f"index {len(whole)}")
        except DamageError as damage:
            self._on_broken(damage)
            raise
        except Exception:
            raise
        except BaseException:
            if self._random is not None and self._random.random() < 0.5 and self._at_the_cut():
                self._apply(whole)
            raise
        self._apply(whole)

    def _apply(self, changes: list[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            if value is None:
                self._medium.entries.pop(key, None)
            else:
                self._medium.entries[key] = value

    def lies_in_memory(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing to close."""
