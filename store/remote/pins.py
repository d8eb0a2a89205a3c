"""Pins of other processes: whoever is to drop data asks all whether they need them (docs/consistency.md, "Pins")."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from store.core.errors import InvalidError
from store.remote import answers
from store.remote.methods import data_id, number
from store.wire.client import WireClient
from store.wire.errors import ProtocolError
from store.wire.server import Call, Peer

PINNED: Final = "pins.pinned"
"""[data ids, what for] -> those of them that are pinned for any of that."""
IDS_MAX: Final = 4096
"""Data ids of one request: looking them up takes about a millisecond."""
NEEDS_MAX: Final = 16
ANSWER_SECONDS: Final = 10.0


class PinService:
    """Answers for this process: `held` says which of some data are pinned here for any of some needs."""

    def __init__(self, held: Callable[[Sequence[bytes], Sequence[int]], list[bytes]]) -> None:
        self._held = held

    def serve(self, peer: Peer) -> None:
        """Answer a new peer."""
        peer.handlers[PINNED] = self._pinned

    def _pinned(self, call: Call) -> None:
        data_ids, needs = call.arguments
        if not isinstance(data_ids, list) or not all(map(data_id, data_ids)):
            raise TypeError("what is no list of data ids where one is taken")
        if not isinstance(needs, list) or not all(map(number, needs)):
            raise TypeError("what is no list of numbers where one is taken")
        if len(data_ids) > IDS_MAX or len(needs) > NEEDS_MAX:
            raise InvalidError(f"no more than {IDS_MAX} data ids are asked for at once")
        call.answer(self._held(data_ids, needs))


class RemotePins:
    """Asks another process."""

    def __init__(self, client: WireClient) -> None:
        self._client = client

    async def pinned(self, data_ids: Sequence[bytes], needs: Sequence[int]) -> Collection[bytes]:
        """Which of these it has pinned for any of these needs. Raises UnreachableError, BusyError where it does not
        answer; ProtocolError where that is no answer; and what it answers."""
        found: set[bytes] = set()
        for start in range(0, len(data_ids), IDS_MAX):
            asked = list(data_ids[start : start + IDS_MAX])
            answer = await self._client.call(PINNED, (asked, list(map(int, needs))), seconds=ANSWER_SECONDS)
            found.update(_ids(answer.result))
        return found


def _ids(found: Any) -> list[bytes]:
    try:
        return _DATA_IDS(found)
    except TypeError as error:
        raise ProtocolError(f"{PINNED} is answered with what is no answer: {error}") from error


_DATA_IDS: Final = answers.list_of(answers.octets)
