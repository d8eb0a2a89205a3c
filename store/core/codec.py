"""Versioned values: every stored type names its version, and old versions keep being read.

A value is msgpack `[version, field, field, ...]`. A reader knows every version that was ever written and lifts older
ones to the newest when it decodes; a version that it does not know is refused in plain words (a newer program wrote
it), never guessed at.

Forms that are read by the thousand are decoded by hand where they belong (store.device.row, store.device.block,
store.objects.rowcodec), each looking at its version first; `unknown_version` says what is to be raised. Whoever adds a
version lifts the older one there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgpack

from store.core.errors import DamageError, NewerError

T = TypeVar("T")


def unknown_version(name: str, version: object, known: Iterable[int]) -> DamageError:
    """What is to be raised for a stored value of none of the known versions; NewerError for one above them all."""
    versions = sorted(known)
    text = f"{name}: version {version!r} is not known here (known: {', '.join(map(str, versions))})"
    if isinstance(version, int) and version > versions[-1]:
        return NewerError(f"{text}: a newer Drystone wrote it")
    return DamageError(text)


class Codec(Generic[T]):
    """Encodes one type; `readers` maps each version ever written to a function from fields to the present type."""

    def __init__(
        self,
        name: str,
        version: int,
        fields: Callable[[T], Sequence[Any]],
        readers: Mapping[int, Callable[[Sequence[Any]], T]],
        *,
        tuples: bool = False,
    ) -> None:
        """`tuples`: readers get tuples where arrays are stored, and not lists."""
        self.name = name
        self.version = version
        self._fields = fields
        self._readers = readers
        self._lists = not tuples

    def encode(self, value: T, version: int | None = None) -> bytes:
        """The value as of the newest version; or as of an older one that has the same fields, for programs that know
        no newer one."""
        packed: bytes = msgpack.packb([self.version if version is None else version, *self._fields(value)])
        return packed

    def decode(self, packed: bytes | memoryview) -> T:
        """The value. Raises DamageError where the bytes are no value of a known version."""
        try:
            version, *fields = msgpack.unpackb(packed, strict_map_key=False, use_list=self._lists)
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise DamageError(f"{self.name}: not a stored value ({error})") from error
        reader = self._readers.get(version) if isinstance(version, int) else None
        if reader is None:
            raise unknown_version(self.name, version, self._readers)
        try:
            return reader(fields)
        except (ValueError, TypeError, IndexError, KeyError) as error:
            raise DamageError(f"{self.name}: version {version} with wrong fields ({error})") from error
