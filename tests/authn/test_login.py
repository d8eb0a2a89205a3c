"""Passwords: how they are kept, who gets in, how guessing is slowed, and what nobody learns."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import trio

from authn.administration import Administration
from authn.errors import UnauthorizedError
from authn.hashing import CHEAP, HashCost, PasswordHasher
from authn.login import Login
from authn.throttle import (
    FREE_FAILURES,
    FREE_FAILURES_EVERYWHERE,
    PLACES_MAX,
    SECONDS_EACH,
    WAIT_SECONDS_MAX,
    LoginSource,
    Throttle,
)
from gateway.rest.origin import address
from store.core.errors import BusyError, InvalidError, NotFoundError
from tests.authn.conftest import PASSWORD, Cloud
from tests.twins.clock import ManualClock


async def test_the_right_password_opens_and_others_do_not(cloud: Cloud) -> None:
    user = await cloud.user("ann")
    login = cloud.service.login
    assert await login.by_name("ann", PASSWORD) == await login.by_id(user.id, PASSWORD) == user
    for name, password in (("ann", "wrong"), ("ann", ""), ("Ann", PASSWORD), ("nobody", PASSWORD), ("ann", "\ud800")):
        with pytest.raises(UnauthorizedError):
            await login.by_name(name, password)


async def test_without_a_password_nobody_gets_in(cloud: Cloud) -> None:
    administration = cloud.service.administration
    user = await cloud.user("ann")
    await administration.update_user(user.id, lambda user: replace(user, password_hash=""))
    for password in ("", "nobody", PASSWORD):
        with pytest.raises(UnauthorizedError):
            await cloud.service.login.by_name("ann", password)


async def test_disabled_users_stay_out(cloud: Cloud) -> None:
    user = await cloud.user("ann")
    await cloud.service.administration.update_user(user.id, lambda user: replace(user, enabled=False))
    with pytest.raises(UnauthorizedError):
        await cloud.service.login.by_name("ann", PASSWORD)


async def test_a_password_that_is_changed_while_it_is_verified_opens_no_more(cloud: Cloud) -> None:
    user = await cloud.user("ann")

    class Slow(PasswordHasher):
        async def verify(self, hashed: str, password: str) -> bool:
            same = await super().verify(hashed, password)
            await cloud.service.administration.update_user(user.id, password="another")
            return same

    login = Login(cloud.service.directory, Slow(CHEAP), cloud.clock)
    with pytest.raises(UnauthorizedError):
        await login.by_name("ann", PASSWORD)


async def test_a_password_is_hashed_anew_at_todays_cost_and_tokens_stay(cloud: Cloud) -> None:
    user = await cloud.user("ann")
    token = await cloud.token("ann")
    hasher = PasswordHasher(HashCost(memory_kib=16, passes=2))
    login = Login(cloud.service.directory, hasher, cloud.clock)
    await login.by_name("ann", PASSWORD)
    stored = cloud.service.snapshot.users.require(user.id).password_hash
    assert "$m=16,t=2,p=1$" in stored
    assert stored.startswith("$argon2id$")
    assert await login.by_name("ann", PASSWORD)
    assert cloud.service.snapshot.users.require(user.id).password_hash == stored
    assert await cloud.service.identify(token)


async def test_a_new_password_outlasts_the_new_hash_of_the_old_one(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await cloud.user("ann")
    hasher = PasswordHasher(HashCost(memory_kib=16, passes=2))
    login, hashed = Login(cloud.service.directory, hasher, cloud.clock), hasher.hash

    async def overtaken(password: str) -> str:
        await cloud.service.administration.update_user(user.id, password="new")
        return await hashed(password)

    monkeypatch.setattr(hasher, "hash", overtaken)
    await login.by_name("ann", PASSWORD)
    assert await cloud.service.login.by_name("ann", "new")


async def test_guessing_is_slowed_and_the_owner_gets_in_again(cloud: Cloud) -> None:
    await cloud.user("ann")
    login = cloud.service.login
    for name in ("ann", "nobody"):
        for _ in range(FREE_FAILURES):
            with pytest.raises(UnauthorizedError):
                await login.by_name(name, "guess")
    with pytest.raises(UnauthorizedError):
        await login.by_name("ann", PASSWORD)
    cloud.clock.advance(WAIT_SECONDS_MAX)
    assert await login.by_name("ann", PASSWORD)


async def test_whoever_guesses_keeps_out_nobody_but_themselves(cloud: Cloud) -> None:
    await cloud.user("ann")
    login = cloud.service.login
    for _ in range(FREE_FAILURES):
        with pytest.raises(UnauthorizedError):
            await login.by_name("ann", "guess", address="192.0.2.66")
    with pytest.raises(UnauthorizedError):
        await login.by_name("ann", PASSWORD, address="192.0.2.66")
    assert await login.by_name("ann", PASSWORD, address="192.0.2.7")


async def test_guesses_from_everywhere_keep_out_only_where_the_owner_was_never(cloud: Cloud) -> None:
    await cloud.user("ann")
    login = cloud.service.login
    assert await login.by_name("ann", PASSWORD, address="192.0.2.7")
    for number in range(FREE_FAILURES_EVERYWHERE):
        with pytest.raises(UnauthorizedError):
            await login.by_name("ann", "guess", address=f"198.51.100.{number}")
    with pytest.raises(UnauthorizedError):
        await login.by_name("ann", PASSWORD, address="203.0.113.1")
    assert await login.by_name("ann", PASSWORD, address="192.0.2.7")
    cloud.clock.advance(SECONDS_EACH)
    assert await login.by_name("ann", PASSWORD, address="203.0.113.1")


async def test_guesses_that_wait_in_line_are_counted_before_their_turn(cloud: Cloud) -> None:
    await cloud.user("ann")
    tried: list[str] = []

    class Slow(PasswordHasher):
        async def verify(self, hashed: str, password: str) -> bool:
            tried.append(password)
            await trio.lowlevel.checkpoint()
            return False

    login = Login(cloud.service.directory, Slow(CHEAP), cloud.clock)

    async def guess(number: int) -> None:
        with pytest.raises(UnauthorizedError):
            await login.by_name("ann", str(number))

    async with trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(guess, number)
    assert len(tried) < FREE_FAILURES + CHEAP.at_once


def test_the_wait_grows_to_its_bound_and_what_is_remembered_is_bounded() -> None:
    clock = ManualClock()
    throttle = Throttle(clock)
    ann = LoginSource("192.0.2.7", "ann")
    waits = []
    for _ in range(FREE_FAILURES + 8):
        throttle.failed(ann)
        start = clock.now_us
        while not throttle.admits(ann):
            clock.advance(0.5)
        waits.append((clock.now_us - start) / 1e6)
    assert waits == [0.0] * (FREE_FAILURES - 1) + [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    for number in range(PLACES_MAX + 1):
        throttle.failed(LoginSource("192.0.2.7", str(number)))
        throttle.succeeded(LoginSource("192.0.2.8", str(number)))
    assert throttle.admits(ann)
    assert len(throttle._failures) == len(throttle._everywhere) == len(throttle._familiar) == PLACES_MAX


class Paced(PasswordHasher):
    """Every password takes as long, on a clock that only tests have."""

    async def verify(self, hashed: str, password: str) -> bool:
        await trio.sleep(0.05)
        return bool(hashed) and self._verify(hashed, password)


@pytest.mark.parametrize(
    ("address", "before", "names"),
    [("192.0.2.7", False, 1), ("192.0.2.7", False, 1000), ("192.0.2.66", True, 1000)],
    ids=["from elsewhere", "from elsewhere, many names", "from the same address, where they were before"],
)
async def test_a_storm_of_wrong_logins_shuts_nobody_out(
    cloud: Cloud, autojump_clock: trio.testing.MockClock, address: str, before: bool, names: int
) -> None:
    await cloud.user("ann")
    login = Login(cloud.service.directory, Paced(CHEAP), cloud.clock)
    if before:
        await login.by_name("ann", PASSWORD, address=address)
    tries: Counter[str] = Counter()

    async def storm(number: int) -> None:
        while True:
            try:
                await login.by_name(f"nobody-{number % names}", "guess", address="192.0.2.66")
            except UnauthorizedError:
                tries["wrong"] += 1
                await trio.sleep(0.05)
            except BusyError:
                tries["busy"] += 1
                await trio.sleep(0.05)

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(storm, number)
        await trio.sleep(0.5)
        for _ in range(10):
            with trio.fail_after(0.2):
                assert await login.by_name("ann", PASSWORD, address=address)
        nursery.cancel_scope.cancel()
    assert tries["wrong"] > 0
    assert tries["busy"] > 0


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("somebody", 1), ""),
        (None, ""),
    ],
)
def test_whose_share_a_request_is_counted_to(client: tuple[str, int] | None, expected: str) -> None:
    assert address({"client": client}) == expected


@pytest.mark.parametrize("password", ["", "x" * 4097, "\ud800"])
async def test_what_is_no_password_is_not_set(cloud: Cloud, password: str) -> None:
    with pytest.raises(InvalidError):
        await cloud.service.administration.update_user(cloud.made.user_id, password=password)


async def test_no_password_is_hashed_for_a_user_that_does_not_exist(cloud: Cloud) -> None:
    """A hash costs as much as a login, and holds up those who wait for one."""
    hashed: list[str] = []

    class Watched(PasswordHasher):
        async def hash(self, password: str, *, whose: str = "") -> str:
            hashed.append(password)
            return await super().hash(password)

    administration = Administration(cloud.service.directory, Watched(CHEAP), cloud.service.random)
    with pytest.raises(NotFoundError):
        await administration.update_user("nobody", password="another")
    assert hashed == []
