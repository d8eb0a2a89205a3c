"""What clients asked and were told, by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from tests.linearizability.checker import Operation


class Version(NamedTuple):
    """One version of an object, as it is judged."""

    mark: str
    etag: str


@dataclass(frozen=True)
class Content:
    """What was written as one version."""

    version: Version
    seed: int
    size: int

    def data(self) -> bytes:
        return Random(self.seed).randbytes(self.size)


@dataclass
class Record:
    """One request. Without `returned` its outcome is unknown."""

    call: Hashable
    invoked: float
    result: Hashable = None
    returned: float | None = None
    happened: bool = True

    def operation(self) -> Operation:
        return Operation(self.call, self.result, self.invoked, self.returned)


Key = tuple[str, str]
"""(container's id in hex, object's name); ("", container's name) for the container itself."""


@dataclass
class History:
    """All requests of a run."""

    moment: Callable[[], float]
    records: dict[Key, list[Record]] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)
    """By mark: all that was ever to be written."""
    names: dict[str, set[str]] = field(default_factory=dict)
    """By container's id: every name that anybody wrote."""
    requests: int = 0
    """That a process was asked for."""

    def content(self, seed: int, size: int) -> Content:
        """Something new to write."""
        etag = hashlib.md5(Random(seed).randbytes(size), usedforsecurity=False).hexdigest()
        return self._known(Content(Version(f"v{len(self.contents)}", etag), seed, size))

    def remarked(self, before: Content) -> Content:
        """The same data under other headers."""
        return self._known(Content(Version(f"v{len(self.contents)}", before.version.etag), before.seed, before.size))

    def _known(self, content: Content) -> Content:
        self.contents[content.version.mark] = content
        return content

    def begin(self, key: Key, call: Hashable) -> Record:
        """Somebody is about to ask."""
        record = Record(call, self.moment())
        self.records.setdefault(key, []).append(record)
        if key[0]:
            self.names.setdefault(key[0], set()).add(key[1])
        return record

    def told(self, record: Record, result: Hashable = None) -> None:
        """That is the answer."""
        record.result, record.returned = result, self.moment()

    def never(self, record: Record) -> None:
        """It certainly has not been done, and will not be; or it is of no account."""
        record.happened = False

    def operations(self, key: Key) -> list[Operation]:
        return [record.operation() for record in self.records.get(key, []) if record.happened]
