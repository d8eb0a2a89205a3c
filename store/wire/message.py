"""The messages of a link, each a list of fields that begins with its kind. Sans-I/O.

    HELLO    [0, lowest version, highest version, cluster, node, program]   first in both directions
    REQUEST  [1, id, method, ms to answer (0: no end), request id, arguments]  payload
    REPLY    [2, id, result]                                                payload
    ERROR    [3, id, class, words]
    CANCEL   [4, id]                                                        who asked does not wait any more
    NOTE     [5, method, arguments]                                         a request without an answer
    ITEM     [6, id, value]                                                 a piece of a stream
    END      [7, id]                                                        of a stream
    CREDIT   [8, id, count]                                                 so many more items may come
    PING     [9]
    PONG     [10]
    GOODBYE  [11, words]                                                    why the link is closed

An id names a request on its link and is never used again there: who asks only counts upwards, so an answer to another
request cannot be taken for that to a later one. Requests of the background may be overtaken by those with higher ids.
Fields that a reader does not know, behind those that it knows,
are left to newer versions; kinds that it does not know end the link, since versions are agreed on first.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from store.wire.errors import ProtocolError

HELLO: Final = 0
REQUEST: Final = 1
REPLY: Final = 2
ERROR: Final = 3
CANCEL: Final = 4
NOTE: Final = 5
ITEM: Final = 6
END: Final = 7
CREDIT: Final = 8
PING: Final = 9
PONG: Final = 10
GOODBYE: Final = 11

_SHAPES: Final[dict[int, tuple[type, ...]]] = {
    HELLO: (int, int, str, str, str),
    REQUEST: (int, str, int, str, list),
    REPLY: (int, object),
    ERROR: (int, str, str),
    CANCEL: (int,),
    NOTE: (str, list),
    ITEM: (int, object),
    END: (int,),
    CREDIT: (int, int),
    PING: (),
    PONG: (),
    GOODBYE: (str,),
}


def check_shape(fields: list[Any]) -> int:
    """The kind of a message. Raises ProtocolError where its fields are not those of that kind."""
    shape = _SHAPES.get(fields[0])
    if shape is None or len(fields) <= len(shape) or not all(map(isinstance, fields[1:], shape)):
        raise ProtocolError(f"not a message that is known here: {outline(fields)}")
    kind: int = fields[0]
    return kind


def outline(fields: list[Any]) -> str:
    """What is said of a message that must not be. Nothing of its content: that is a stranger's, and of any size and
    depth."""
    return f"kind {fields[0]}, {len(fields) - 1} more fields"


class Hello(NamedTuple):
    """Who speaks: which versions of this protocol it knows, and which cluster, node and program it is."""

    lowest: int
    highest: int
    cluster: str
    node: str
    program: str

    def fields(self) -> tuple[Any, ...]:
        return (HELLO, *self)

    @classmethod
    def of(cls, fields: list[Any]) -> Hello:
        """Raises ProtocolError where this is none."""
        if check_shape(fields) == GOODBYE:
            raise ProtocolError(f"the other side refuses: {fields[1]}")
        if fields[0] != HELLO:
            raise ProtocolError("a link that does not begin with who speaks")
        return cls(*fields[1:6])


def agree(mine: Hello, theirs: Hello) -> int:
    """The version that both speak. Raises ProtocolError where there is none, or where the other is of another cluster:
    its data are not ours."""
    if mine.cluster != theirs.cluster:
        raise ProtocolError(f"node {theirs.node} belongs to cluster {theirs.cluster}, this is {mine.cluster}")
    version = min(mine.highest, theirs.highest)
    if version < max(mine.lowest, theirs.lowest):
        raise ProtocolError(
            f"node {theirs.node} ({theirs.program}) speaks versions {theirs.lowest} to {theirs.highest} of the"
            f" protocol, this one ({mine.program}) {mine.lowest} to {mine.highest}: upgrade one release at a time"
        )
    return version
