"""Conditions: whether what is there lets a request go on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.objects.notes import MANIFEST_ETAG
from gateway.objects.versions.store import VersionedStore
from store.core.errors import NotFoundError, PreconditionError
from store.objects.model import Condition, Container


class Outcome(Enum):
    """Why a read ends before its first byte."""

    NOT_MODIFIED = "not modified"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ReadCondition:
    """What must hold of what is read. Etags are without quotes, "*" is any; times are whole seconds."""

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None
    modified_since: int | None = None
    unmodified_since: int | None = None

    def outcome(self, etag: str, modified: int) -> Outcome | None:
        """What ends the read of something with this etag and time, or None to go on."""
        if self.none_match is not None and ("*" in self.none_match or etag in self.none_match):
            return Outcome.NOT_MODIFIED
        if self.match is not None and not ("*" in self.match or etag in self.match):
            return Outcome.FAILED
        if self.modified_since is not None and modified <= self.modified_since:
            return Outcome.NOT_MODIFIED
        if self.unmodified_since is not None and modified > self.unmodified_since:
            return Outcome.FAILED
        return None


async def settled(store: VersionedStore, container: Container, name: str, condition: Condition) -> Condition:
    """A condition of a write as the store is to check it. Raises PreconditionError where it fails already, so that a
    body which cannot be kept is not read.

    A client knows a manifest by the etag of the whole, the store by that of the list.
    """
    try:
        info = await store.head(container, name)
    except NotFoundError:
        shown = present = None
    else:
        present = info.etag
        shown = info.head.headers.get(MANIFEST_ETAG, present)
    if not condition.holds(shown):
        raise PreconditionError("the condition does not hold")
    if condition.match is None or present is None or "*" in condition.match:
        return condition
    return Condition(frozenset({present}), condition.none_match)
