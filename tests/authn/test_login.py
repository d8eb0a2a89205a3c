"""Passwords: how they are kept, who gets in, how guessing is slowed, and what nobody learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from authn import hashing
from authn.errors import UnauthorizedError
from authn.hashing import CHEAP, HashCost, PasswordHasher
from authn.login import Login
from authn.throttle import FREE_FAILURES, NAMES_MAX, WAIT_SECONDS_MAX, Throttle
from store.core.errors import BusyError, InvalidError
from tests.authn.conftest import PASSWORD, House
from tests.twins.clock import ManualClock


async def test_the_right_password_opens_and_others_do_not(house: House) -> None:
    user = await house.user("ann")
    login = house.service.login
    assert await login.by_name("ann", PASSWORD) == await login.by_id(user.id, PASSWORD) == user
    for name, password in (("ann", "wrong"), ("ann", ""), ("Ann", PASSWORD), ("nobody", PASSWORD), ("ann", "\ud800")):
        with pytest.raises(UnauthorizedError):
            await login.by_name(name, password)


async def test_without_a_password_nobody_gets_in(house: House) -> None:
    administration = house.service.administration
    user = await house.user("ann")
    await administration.update_user(user.id, lambda user: replace(user, password_hash=""))
    for password in ("", "nobody", PASSWORD):
        with pytest.raises(UnauthorizedError):
            await house.service.login.by_name("ann", password)


async def test_disabled_users_stay_out(house: House) -> None:
    user = await house.user("ann")
    await house.service.administration.update_user(user.id, lambda user: replace(user, enabled=False))
    with pytest.raises(UnauthorizedError):
        await house.service.login.by_name("ann", PASSWORD)


async def test_a_password_is_hashed_anew_at_todays_cost_and_tokens_stay(house: House) -> None:
    user = await house.user("ann")
    token = await house.token("ann")
    hasher = PasswordHasher(HashCost(memory_kib=16, passes=2))
    login = Login(house.service.directory, hasher, house.clock)
    await login.by_name("ann", PASSWORD)
    stored = house.service.view.users.require(user.id).password_hash
    assert "$m=16,t=2,p=1$" in stored
    assert stored.startswith("$argon2id$")
    assert await login.by_name("ann", PASSWORD)
    assert house.service.view.users.require(user.id).password_hash == stored
    assert await house.service.identify(token)


async def test_guessing_is_slowed_and_the_owner_gets_in_again(house: House) -> None:
    await house.user("ann")
    login = house.service.login
    for name in ("ann", "nobody"):
        for _ in range(FREE_FAILURES):
            with pytest.raises(UnauthorizedError):
                await login.by_name(name, "guess")
    with pytest.raises(UnauthorizedError):
        await login.by_name("ann", PASSWORD)
    house.clock.advance(WAIT_SECONDS_MAX)
    assert await login.by_name("ann", PASSWORD)


def test_the_wait_grows_to_its_bound_and_names_are_bounded() -> None:
    clock = ManualClock()
    throttle = Throttle(clock)
    waits = []
    for _ in range(FREE_FAILURES + 8):
        throttle.failed("ann")
        start = clock.now_us
        while not throttle.admits("ann"):
            clock.advance(0.5)
        waits.append((clock.now_us - start) / 1e6)
    assert waits == [0.0] * (FREE_FAILURES - 1) + [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    for number in range(NAMES_MAX):
        throttle.failed(str(number))
    assert throttle.admits("ann")
    assert len(throttle._failures) == NAMES_MAX


async def test_few_hashes_at_once_and_a_bounded_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "WAITING_MAX", 3)
    hasher = PasswordHasher(CHEAP)
    hashed = await hasher.hash("p")
    answers: list[bool | str] = []

    async def verify() -> None:
        try:
            answers.append(await hasher.verify(hashed, "p"))
        except BusyError:
            answers.append("busy")

    async with trio.open_nursery() as nursery:
        for _ in range(9):
            nursery.start_soon(verify)
    assert answers.count("busy") == 9 - CHEAP.at_once - 3
    assert answers.count(True) == CHEAP.at_once + 3


@pytest.mark.parametrize("password", ["", "x" * 4097, "\ud800"])
async def test_what_is_no_password_is_not_set(house: House, password: str) -> None:
    with pytest.raises(InvalidError):
        await house.service.administration.update_user(house.made.user_id, password=password)
