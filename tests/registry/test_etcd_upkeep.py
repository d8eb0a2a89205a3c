"""Who works, in which order, and what is left alone; with members that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from store.registry import UnavailableError
from store.registry.etcd import Client
from store.registry.etcd.endpoint import ANSWER_SECONDS, Endpoint
from store.registry.etcd.keyspace import Json
from store.registry.etcd.upkeep import WASTE_BYTES, Upkeep

LEADER = 1
QUOTA = 100 * WASTE_BYTES


class MadeUp(Endpoint):
    """A member with a file of so much, so much of it in use; defragmentation leaves that."""

    def __init__(self, number: int, file_bytes: int, used_bytes: int, done: list[tuple[int, str]]) -> None:
        super().__init__(httpx.AsyncClient(), f"http://member{number}")
        self.number = number
        self.file_bytes = file_bytes
        self.used_bytes = used_bytes
        self.alarms: list[Json] = []
        self.reached = True
        self._done = done

    async def call(self, path: str, body: Json, *, seconds: float = ANSWER_SECONDS) -> Json:
        if not self.reached:
            raise UnavailableError("gone")
        if path == "/v3/maintenance/status":
            header = {"member_id": str(self.number), "revision": "9"}
            sizes = {"dbSize": str(self.file_bytes), "dbSizeInUse": str(self.used_bytes)}
            return {"header": header, "leader": str(LEADER), **sizes}
        if path == "/v3/maintenance/alarm" and body["action"] == "GET":
            return {"alarms": self.alarms} if self.alarms else {}
        if path == "/v3/maintenance/defragment":
            self.file_bytes = self.used_bytes
        about: Any = body.get("memberID") or self.number
        self._done.append((int(about), path.rpartition("/")[2]))
        return {}


def members(done: list[tuple[int, str]], *sizes: tuple[int, int]) -> list[MadeUp]:
    return [MadeUp(number, *each, done) for number, each in enumerate(sizes, 1)]


async def round_of(members: Sequence[MadeUp], own: MadeUp) -> None:
    await Upkeep(Client(members), own, QUOTA).round()


WASTEFUL = (5 * WASTE_BYTES, 2 * WASTE_BYTES)


async def test_only_the_leaders_process_works_and_its_own_member_comes_last() -> None:
    done: list[tuple[int, str]] = []
    three = members(done, WASTEFUL, WASTEFUL, WASTEFUL)
    for own in three[1:]:
        await round_of(three, own)
    assert done == []
    await round_of(three, three[0])
    assert done == [(2, "defragment"), (3, "defragment"), (1, "defragment")]


@pytest.mark.parametrize("sizes", [(WASTE_BYTES - 1, 0), (9 * WASTE_BYTES, 5 * WASTE_BYTES)])
async def test_what_is_not_worth_a_pause_is_left(sizes: tuple[int, int]) -> None:
    done: list[tuple[int, str]] = []
    await round_of(only := members(done, sizes), only[0])
    assert done == []


async def test_an_alarm_goes_where_there_is_room_and_stays_where_there_is_none_or_nobody_knows() -> None:
    done: list[tuple[int, str]] = []
    five = members(done, (QUOTA, 10), (QUOTA, 10), (QUOTA, QUOTA - 10), (QUOTA, 10), (10, 10))
    five[0].alarms = [{"memberID": str(number), "alarm": "NOSPACE"} for number in (2, 3, 4)]
    five[0].alarms.append({"memberID": "5", "alarm": "CORRUPT"})
    five[3].reached = False
    await round_of(five, five[0])
    assert done == [
        (1, "compaction"),
        (2, "defragment"),
        (3, "defragment"),
        (5, "defragment"),
        (1, "defragment"),
        (2, "alarm"),
    ]
