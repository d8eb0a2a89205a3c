"""Tokens of users whom their directory no longer lets in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from authn.directory_watch import LOOK_SECONDS, ROUND_SECONDS
from tests.authn.conftest import LIFETIME_S
from tests.authn.directories.conftest import Mine
from tests.authn.directories.fake import FakeDirectory


async def _pass(mine: Mine, seconds: float) -> None:
    """Let time pass on all clocks."""
    mine.cloud.clock.advance(seconds)
    await trio.sleep(seconds)


async def _token(mine: Mine) -> str:
    """Of alice, for a project by her group."""
    project = await mine.cloud.project("quarry")
    role = mine.cloud.made.role_ids["reader"]
    group = mine.directory.groups["g1"].public_id
    assert (await mine.ask("PUT", f"/v3/projects/{project.id}/groups/{group}/roles/{role}")).status == 204
    answer = await mine.login("alice", scope={"project": {"id": project.id}})
    return answer.headers["x-subject-token"]


def _deleted(directory: FakeDirectory) -> None:
    del directory.users["u1"]


def _disabled(directory: FakeDirectory) -> None:
    directory.disable("u1")


def _no_member(directory: FakeDirectory) -> None:
    directory.members["g1"].clear()


@pytest.mark.parametrize("change", [_deleted, _disabled, _no_member])
async def test_they_end_within_bounds_also_where_they_are_remembered(
    mine: Mine, autojump_clock: MockClock, change: Callable[[FakeDirectory], None]
) -> None:
    token = await _token(mine)
    assert await mine.service.identify(token)
    change(mine.directory)
    await _pass(mine, LOOK_SECONDS - ROUND_SECONDS - 1)
    assert await mine.service.identify(token)
    await _pass(mine, 3 * ROUND_SECONDS)
    assert await mine.service.identify(token) is None


async def test_those_of_others_stay_and_the_directory_is_asked_seldom(mine: Mine, autojump_clock: MockClock) -> None:
    token = await _token(mine)
    asked = mine.directory.asked["user"]
    for _ in range(4 * 60):
        await _pass(mine, 10)
        assert await mine.service.identify(token)
    assert 5 <= mine.directory.asked["user"] - asked <= 2400 / LOOK_SECONDS
    await _pass(mine, LIFETIME_S)
    asked = mine.directory.asked["user"]
    await _pass(mine, 4 * LOOK_SECONDS)
    assert mine.directory.asked["user"] == asked  # there are no tokens any more


async def test_while_it_is_away_they_stay(mine: Mine, autojump_clock: MockClock) -> None:
    token = await _token(mine)
    mine.directory.away = True
    await _pass(mine, 2 * LOOK_SECONDS)
    assert await mine.service.identify(token)
    mine.directory.away = False
    mine.directory.disable("u1")
    await _pass(mine, 2 * ROUND_SECONDS)
    assert await mine.service.identify(token) is None


async def test_with_the_directory_they_end(mine: Mine, autojump_clock: MockClock) -> None:
    token = await _token(mine)
    assert (await mine.ask("DELETE", f"/v3/domains/{mine.staff.id}/config")).status == 204
    await _pass(mine, LOOK_SECONDS + 2 * ROUND_SECONDS)
    assert await mine.service.identify(token) is None


async def test_they_are_ended_once(mine: Mine, nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    token = await _token(mine)
    alice = mine.directory.users["u1"].public_id
    mine.directory.disable("u1")
    await _pass(mine, LOOK_SECONDS + 2 * ROUND_SECONDS)
    epoch = mine.service.snapshot.users.require(alice).epoch
    await _pass(mine, 4 * LOOK_SECONDS)
    assert mine.service.snapshot.users.require(alice).epoch == epoch == 1  # once
    assert await mine.service.identify(token) is None
