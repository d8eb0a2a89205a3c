"""A quorum promise: the replicas of a row are asked to take nothing below a stamp, and say what they have of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from store.device.port import DevicePort, PromiseWrite, Seen, SeenReply
from store.objects.hedge import Hedged
from store.ring import quorum


class QuorumPromise(Hedged[Seen]):
    """Used once: `ask`, and where that did not do, `wait`. Then it was `given` by a quorum of every live layout, with a
    quorum among them that is to be believed (docs/consistency.md, "Promise"); or some have `barred` it; or too few have
    answered."""

    __slots__ = ("_devices", "_promise", "_read_set", "_reserve", "_sets")

    def __init__(
        self,
        sets: tuple[tuple[int, ...], ...],
        read_set: tuple[int, ...],
        devices: Mapping[int, DevicePort],
        promise: PromiseWrite,
        *,
        reserve: bool,
    ) -> None:
        """`reserve` as of `DevicePort.submit_promise`."""
        replicas = dict.fromkeys(replica for each in sets for replica in each)
        here = [replica for replica in replicas if replica in devices]
        super().__init__(here, len(here), self._ask)
        self._sets = sets
        self._read_set = read_set
        self._devices = devices
        self._promise = promise
        self._reserve = reserve

    def _ask(self, replica: int, reply: SeenReply) -> None:
        self._devices[replica].submit_promise(self._promise, reply, reserve=self._reserve)

    @property
    def given(self) -> bool:
        promised = [replica for replica, seen in self.answers.items() if not seen.barred]
        return self._is_quorum(self.believed, self._read_set) and all(
            self._is_quorum(promised, replicas) for replicas in self._sets
        )

    @property
    def barred(self) -> list[Seen]:
        """What those say that have promised more already, or have a newer version."""
        return [seen for seen in self.answers.values() if seen.barred]

    @property
    def enough(self) -> bool:
        return self.given or bool(self.barred)

    @property
    def believed(self) -> dict[int, Seen]:
        """Of the layout that is read, those who have promised and have all that they should."""
        return {
            replica: seen
            for replica, seen in self.answers.items()
            if replica in self._read_set and seen.believed and not seen.barred
        }

    @staticmethod
    def _is_quorum(some: Collection[int], replicas: Collection[int]) -> bool:
        return sum(replica in some for replica in replicas) >= quorum(len(replicas))
