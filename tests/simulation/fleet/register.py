"""What one copy of an object, or of a container, would answer: steps for the checker of `tests/linearizability`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from tests.linearizability.checker import Operation, linearization
from tests.simulation.engine_checks import WrongError
from tests.simulation.fleet.history import History, Key, Version

ABSENT, EXISTS = "absent", "exists"
BURIED = "buried"
"""The state of a name whose container was deleted for good."""
SHOWN = 25
"""Operations of a history that cannot be explained that are shown, from the end."""

State = Version | str | None
"""Of a container: (mark of its headers, id)."""


class Read(NamedTuple):
    """Its result is the version, or None."""


class Present(NamedTuple):
    """Its result is whether there is one."""


class Write(NamedTuple):
    """Of a version; of None, a delete that does not ask for what was there."""

    version: Version | None


class WriteIf(NamedTuple):
    """A write that is made if there is nothing (ABSENT), something (EXISTS), or something with this etag. Its result
    says whether it was."""

    condition: str
    version: Version | None


class Swap(NamedTuple):
    """A version that was made of another one, and took its place."""

    expected: Version
    version: Version


class Bury(NamedTuple):
    """The container goes for good: there is nothing, and never will be again."""


class Upsert(NamedTuple):
    """A container is made, or gets other headers. Its result is (whether it was made, id)."""

    mark: str


def step_of_object(state: State, operation: Operation) -> tuple[State, ...]:
    """The states in which an object may be after an operation."""
    unknown = operation.returned is None
    present = isinstance(state, Version)
    match operation.call:
        case Read():
            return (state,) if unknown or operation.result == (state if present else None) else ()
        case Present():
            return (state,) if unknown or operation.result == present else ()
        case Write(version):
            if state == BURIED:
                return (state,) if unknown or version is None else ()
            return (version,)
        case WriteIf(condition, version):
            holds = _holds(state, condition)
            if unknown:
                return (version if holds and state != BURIED else state,)
            if not operation.result:
                return () if holds else (state,)
            return (version,) if holds and state != BURIED else ()
        case Swap(expected, version):
            if state == expected:
                return (version,)
            return (state,) if unknown else ()
        case Bury():
            return (BURIED,) if state is None else ()
    raise TypeError(f"an object knows no {operation.call!r}")


def _holds(state: State, condition: str) -> bool:
    present = isinstance(state, Version)
    if condition == ABSENT:
        return not present
    return present and (condition == EXISTS or (isinstance(state, Version) and state.etag == condition))


def step_of_container(unclaimed: Iterable[str]) -> Callable[[State, Operation], tuple[State, ...]]:
    """The step of a container, some of whose `unclaimed` ids were perhaps made by requests of unknown outcome."""
    ids = sorted(unclaimed)

    def step(state: State, operation: Operation) -> tuple[State, ...]:
        if not isinstance(operation.call, Upsert):
            return step_of_object(state, operation)
        mark = operation.call.mark
        if operation.returned is None:
            if isinstance(state, Version):
                return (Version(mark, state.etag),)
            return tuple(Version(mark, each) for each in (*ids, "nobody saw it"))
        made, container = _upserted(operation)
        after = Version(mark, container)
        if made:
            return (after,) if state is None else ()
        return (after,) if isinstance(state, Version) and state.etag == container else ()

    return step


def _upserted(operation: Operation) -> tuple[bool, str]:
    assert isinstance(operation.result, tuple)
    made, container = operation.result
    return bool(made), str(container)


# -- judging ---------------------------------------------------------------------------------------------------------


def judge(history: History) -> None:
    """Raise WrongError where no single copy could have answered so."""
    buried = {key[1]: _burials(history.operations(key)) for key in history.records if not key[0]}
    ends = {container: bury for name in buried for container, bury in buried[name].items()}
    for key in sorted(history.records):
        operations = history.operations(key)
        if key[0]:
            if key[0] in ends:
                operations.append(ends[key[0]])
            step: Callable[[State, Operation], tuple[State, ...]] = step_of_object
        else:
            step = step_of_container(_unclaimed(operations))
        if not _explained(operations, step):
            raise WrongError(f"{key}: {_shown(operations, step)}")


def _explained(operations: list[Operation], step: Callable[[State, Operation], tuple[State, ...]]) -> bool:
    likely = _spoken_of(operations)
    return _linear(likely, step) or (len(likely) < len(operations) and _linear(operations, step))


def _linear(operations: list[Operation], step: Callable[[State, Operation], tuple[State, ...]]) -> bool:
    initial: State = None
    return linearization(operations, initial, step) is not None


def _spoken_of(operations: list[Operation]) -> list[Operation]:
    """Without requests of unknown outcome of which nothing was ever seen: that they took no effect explains most."""
    told: set[Hashable] = set()
    for operation in operations:
        match operation.call:
            case Read() if operation.returned is not None:
                told.add(operation.result)
            case Present() if operation.returned is not None and not operation.result:
                told.add(None)
            case WriteIf(condition, _) if operation.returned is not None:
                told.add(condition if operation.result and condition != ABSENT else None)
            case Swap(expected, _):
                told.add(expected)
            case Bury():
                told.add(None)
    return [
        operation
        for operation in operations
        if operation.returned is not None or isinstance(operation.call, Upsert) or _told(operation, told)
    ]


def _told(operation: Operation, told: set[Hashable]) -> bool:
    match operation.call:
        case Write(version) | WriteIf(_, version) | Swap(_, version):
            return version in told or (version is not None and version.etag in told)
    return False


def _unclaimed(operations: list[Operation]) -> set[str]:
    """Ids of a container that no request with a known outcome made."""
    seen: set[str] = set()
    made: set[str] = set()
    for operation in operations:
        container = _observed(operation)
        if container:
            seen.add(container)
        if operation.returned is not None and isinstance(operation.call, Upsert) and _upserted(operation)[0]:
            made.add(container or "")
    return seen - made


def _observed(operation: Operation) -> str | None:
    """The id that a container had for a moment of an operation; "" for none; None where nothing was seen."""
    if operation.returned is None:
        return None
    match operation.call, operation.result:
        case Upsert(), (_, container):
            return str(container)
        case Read(), None:
            return ""
        case Read(), Version(_, container):
            return str(container)
        case WriteIf(_, None), True:
            return ""
        case Present(), False:
            return ""
    return None


def _burials(operations: list[Operation]) -> dict[str, Operation]:
    """For each id of a container that is gone: within which time it went."""
    found = {}
    seen = [(operation, _observed(operation)) for operation in operations]
    for container in {each for _, each in seen if each}:
        there = [operation for operation, each in seen if each == container]
        known_since = min(operation.returned for operation in there if operation.returned is not None)
        gone = [
            operation.returned
            for operation, each in seen
            if each is not None and each != container and operation.invoked > known_since
            if operation.returned is not None
        ]
        if gone:
            since = min(max(operation.invoked for operation in there), min(gone))
            found[container] = Operation(Bury(), None, since, min(gone))
    return found


def _shown(operations: list[Operation], step: Callable[[State, Operation], tuple[State, ...]]) -> str:
    """The shortest beginning that cannot be explained."""
    ends = sorted(operation.returned for operation in operations if operation.returned is not None)
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if _explained(_until(operations, ends[middle]), step):
            low = middle + 1
        else:
            high = middle
    shown = sorted(_until(operations, ends[low]), key=lambda operation: operation.returned or float("inf"))
    lines = [
        f"{operation.invoked:.0f}-{'?' if operation.returned is None else f'{operation.returned:.0f}'}"
        f" {operation.call} -> {operation.result}"
        for operation in shown
    ]
    return "cannot be explained:\n    " + "\n    ".join(lines[-SHOWN:])


def _until(operations: list[Operation], end: float) -> list[Operation]:
    return [
        operation if operation.returned is not None and operation.returned <= end else operation._replace(returned=None)
        for operation in operations
        if operation.invoked <= end
    ]


def names_of(history: History, container: str, after: str, last: str | None) -> list[Key]:
    """The known names behind `after`, up to `last` if any, in the order of listings."""
    names = sorted(history.names.get(container, ()), key=str.encode)
    return [
        (container, name)
        for name in names
        if name.encode() > after.encode() and (last is None or name.encode() <= last.encode())
    ]
