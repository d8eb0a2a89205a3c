"""Quotas: against a model, with rivals, and with a process that dies between any two steps."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gateway.rest.quota_records import NO_LIMIT, OverQuotaError, Reservation, Standing
from gateway.rest.quotas import LIMIT_MAX, RESERVED_S, Quotas
from store.core.entropy import SystemRandom
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Compare, Put, Registry, memory_registry
from tests.gateway_rest.mortal_registry import DeadError, MortalRegistry
from tests.twins.clock import ManualClock

DEFAULTS = {"volumes": 3, "gigabytes": 100}


def quotas(registry: Registry, clock: ManualClock) -> Quotas:
    return Quotas(registry, "volume", DEFAULTS, clock, SystemRandom())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def registry(clock: ManualClock) -> Registry:
    return memory_registry(clock)


@pytest.fixture
def held(registry: Registry, clock: ManualClock) -> Quotas:
    return quotas(registry, clock)


async def gone(_: str) -> bool:
    return False


async def volumes(held: Quotas, project: str = "quarry") -> tuple[int, int]:
    standing = (await held.show(project))["volumes"]
    return standing.in_use, standing.reserved


async def test_what_is_reserved_counts_until_it_is_taken_back(held: Quotas) -> None:
    reservation = await held.reserve("quarry", {"volumes": 2, "gigabytes": 10})
    assert await held.show("quarry") == {"volumes": Standing(3, 0, 2), "gigabytes": Standing(100, 0, 10)}
    await held.take_back(reservation)
    assert await held.show("quarry") == {"volumes": Standing(3, 0, 0), "gigabytes": Standing(100, 0, 0)}
    with pytest.raises(NotFoundError):
        await held.commit(reservation)
    with pytest.raises(NotFoundError):
        await held.reservation(reservation.id)


async def test_a_reservation_is_found_by_its_id(held: Quotas) -> None:
    reservation = await held.reserve("quarry", {"volumes": 2}, task="long")
    assert await held.reservation(reservation.id) == reservation


async def test_nothing_is_reserved_where_one_resource_is_short(held: Quotas) -> None:
    await held.commit(await held.reserve("quarry", {"volumes": 1, "gigabytes": 60}))
    await held.reserve("quarry", {"gigabytes": 30})
    with pytest.raises(OverQuotaError, match="gigabytes") as raised:
        await held.reserve("quarry", {"volumes": 1, "gigabytes": 11})
    error = raised.value
    assert (error.resource, error.limit, error.in_use, error.reserved, error.asked) == ("gigabytes", 100, 60, 30, 11)
    assert await volumes(held) == (1, 0)
    await held.reserve("quarry", {"volumes": 1, "gigabytes": 10})
    assert await volumes(held, "another") == (0, 0)


async def test_two_requests_for_the_last_unit(registry: Registry, clock: ManualClock) -> None:
    await quotas(registry, clock).set_limits("quarry", {"volumes": 1})
    won: list[Reservation] = []
    lost: list[OverQuotaError] = []

    async def request() -> None:
        try:
            won.append(await quotas(MortalRegistry(registry), clock).reserve("quarry", {"volumes": 1}))
        except OverQuotaError as error:
            lost.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(request)
    (error,) = lost
    assert len(won) == 1
    assert (error.limit, error.in_use, error.reserved) == (1, 0, 1)


async def test_many_who_reserve_at_once_get_all_that_there_is(registry: Registry, clock: ManualClock) -> None:
    held = quotas(MortalRegistry(registry), clock)
    await held.set_limits("quarry", {"volumes": 20})
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(held.reserve, "quarry", {"volumes": 1})
    assert await volumes(held) == (0, 20)


async def test_a_commit_takes_the_writes_of_the_caller_along(held: Quotas, registry: Registry) -> None:
    reservation = await held.reserve("quarry", {"volumes": 1})
    await registry.transact((), [Put(b"taken", b"")])
    with pytest.raises(ConflictError):
        await held.commit(reservation, [Put(b"volume", b"1")], [Compare.absent(b"taken")])
    assert (await volumes(held), await registry.get(b"volume")) == ((0, 1), None)
    await held.commit(reservation, [Put(b"volume", b"1")], [Compare.absent(b"volume")])
    assert await volumes(held) == (1, 0)
    assert await registry.get(b"volume") is not None
    with pytest.raises(ConflictError):
        await held.free("quarry", {"volumes": 1}, [Put(b"volume", b"2")], [Compare.absent(b"volume")])
    await held.free("quarry", {"volumes": 1}, [Put(b"volume", b"2")], [Compare.exists(b"volume")])
    assert await volumes(held) == (0, 0)


async def test_limits_of_projects_and_defaults(held: Quotas) -> None:
    await held.set_defaults({"volumes": 7})
    assert await held.defaults() == {"volumes": 7, "gigabytes": 100}
    await held.set_limits("quarry", {"volumes": 1})
    await held.set_limits("quarry", {"gigabytes": NO_LIMIT})
    assert [one.limit for one in (await held.show("quarry")).values()] == [1, NO_LIMIT]
    assert [one.limit for one in (await held.show("another")).values()] == [7, 100]
    await held.reserve("quarry", {"gigabytes": LIMIT_MAX})
    with pytest.raises(OverQuotaError):
        await held.reserve("another", {"volumes": 8})
    await held.reset_limits("quarry")
    assert (await held.show("quarry"))["gigabytes"] == Standing(100, 0, LIMIT_MAX)
    await held.reserve("quarry", {"gigabytes": 0})  # over the limit by now, and no more is asked for


@pytest.mark.parametrize(("name", "limit"), [("volumes", -2), ("volumes", LIMIT_MAX + 1), ("stones", 1)])
async def test_what_is_no_limit_is_refused(held: Quotas, name: str, limit: int) -> None:
    with pytest.raises(InvalidError):
        await held.set_limits("quarry", {name: limit})
    with pytest.raises(InvalidError):
        await held.set_defaults({name: limit})


@pytest.mark.parametrize(("name", "amount"), [("volumes", -1), ("stones", 1), ("volumes", LIMIT_MAX + 1)])
async def test_what_cannot_be_counted_is_refused(held: Quotas, name: str, amount: int) -> None:
    await held.set_limits("quarry", {"volumes": NO_LIMIT})
    with pytest.raises(InvalidError):
        await held.reserve("quarry", {name: amount})
    with pytest.raises(InvalidError):
        await held.free("quarry", {name: amount})


async def test_projects_are_told_apart_whatever_their_ids(held: Quotas) -> None:
    await held.reserve("a/b", {"volumes": 1})
    assert await volumes(held, "a") == (0, 0)
    assert await volumes(held, "a%2Fb") == (0, 0)


async def test_what_a_dead_owner_reserved_is_taken_back(held: Quotas, clock: ManualClock) -> None:
    await held.reserve("quarry", {"volumes": 1})
    await held.reserve("quarry", {"volumes": 1}, task="long")
    clock.advance(RESERVED_S - 1)
    assert await held.sweep(gone) == 0
    clock.advance(1)
    await held.reserve("quarry", {"volumes": 1})

    async def long_goes_on(task: str) -> bool:
        assert task, "only of tasks it is asked whether they go on"
        return task == "long"

    assert await held.sweep(long_goes_on) == 1
    assert await volumes(held) == (0, 2)
    assert await held.sweep(gone) == 1
    assert await volumes(held) == (0, 1)


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("writes", [0, 1, 2, 3])
async def test_a_death_between_any_two_steps(
    registry: Registry, clock: ManualClock, writes: int, answered: bool
) -> None:
    """Make a volume and delete it: what is counted is always what is there, once reservations are swept."""
    held = quotas(MortalRegistry(registry, writes, answered=answered), clock)
    done = False
    try:
        reservation = await held.reserve("quarry", {"volumes": 1})
        await held.commit(reservation, [Put(b"volume", b"there")])
        await held.free("quarry", {"volumes": 1}, [Put(b"volume", b"gone")], [Compare.exists(b"volume")])
        done = True
    except DeadError:
        clock.advance(RESERVED_S)
    after = quotas(registry, clock)
    await after.sweep(gone)
    item = await registry.get(b"volume")
    assert await volumes(after) == (int(item is not None and item.value == b"there"), 0)
    assert done is (writes == 3)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 4)),
        st.tuples(st.sampled_from(["commit", "take_back"]), st.integers(0, 5)),
        st.tuples(st.just("free"), st.integers(0, 3)),
        st.tuples(st.just("limit"), st.integers(-1, 8)),
        st.tuples(st.just("sweep"), st.integers(0, RESERVED_S)),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_against_a_model(steps: list[tuple[str, int]]) -> None:
    async def run() -> None:
        clock = ManualClock()
        held = quotas(memory_registry(clock), clock)
        limit, in_use = DEFAULTS["volumes"], 0
        known: list[Reservation] = []
        living: dict[str, tuple[int, int]] = {}  # amount, end
        for name, number in steps:
            reserved = sum(amount for amount, _ in living.values())
            if name == "reserve":
                fits = limit == NO_LIMIT or number == 0 or in_use + reserved + number <= limit
                made = await outcome(held.reserve("quarry", {"volumes": number}), OverQuotaError)
                assert (made is not None) is fits
                if made is not None:
                    known.append(made)
                    living[made.id] = number, clock.now_us + RESERVED_S * 1_000_000
            elif name in ("commit", "take_back") and known:
                one = known[number % len(known)]
                if one.id in living:
                    await getattr(held, name)(one)
                    in_use += living.pop(one.id)[0] if name == "commit" else 0
                    living.pop(one.id, None)
                else:
                    with pytest.raises(NotFoundError):
                        await getattr(held, name)(one)
            elif name == "free" and number <= in_use:
                await held.free("quarry", {"volumes": number})
                in_use -= number
            elif name == "limit":
                await held.set_limits("quarry", {"volumes": number})
                limit = number
            elif name == "sweep":
                clock.advance(number)
                over = [id_ for id_, (_, end) in living.items() if end <= clock.now_us]
                assert await held.sweep(gone) == len(over)
                living = {id_: one for id_, one in living.items() if id_ not in over}
            reserved = sum(amount for amount, _ in living.values())
            assert (await held.show("quarry"))["volumes"] == Standing(limit, in_use, reserved)

    trio.run(run)


async def outcome(call: Any, refusal: type[Exception]) -> Any:
    try:
        return await call
    except refusal:
        return None


async def test_what_has_no_default_is_counted_where_the_service_says_so(clock: ManualClock) -> None:
    registry = memory_registry(clock)
    held = Quotas(registry, "x", {"a": 1}, clock, SystemRandom(), also=lambda name: name.startswith("a_"))
    await held.commit(await held.reserve("p", {"a_big": 2}))
    assert (await held.show("p"))["a_big"] == Standing(NO_LIMIT, 2, 0)
    await held.set_limits("p", {"a_big": 3})
    with pytest.raises(OverQuotaError):
        await held.reserve("p", {"a_big": 2})
    with pytest.raises(InvalidError):
        await held.reserve("p", {"b": 1})


async def test_a_commit_frees_what_the_new_takes_the_place_of(clock: ManualClock) -> None:
    held = Quotas(memory_registry(clock), "x", {"a": 5, "b": 5}, clock, SystemRandom())
    await held.commit(await held.reserve("p", {"a": 2}))
    await held.commit(await held.reserve("p", {"b": 2}), frees={"a": 2})
    assert await held.show("p") == {"a": Standing(5, 0, 0), "b": Standing(5, 2, 0)}


@pytest.mark.parametrize("donor", ["p", "q"])
async def test_what_is_in_use_is_handed_over(clock: ManualClock, donor: str) -> None:
    held = Quotas(memory_registry(clock), "x", {"a": 5}, clock, SystemRandom())
    await held.commit(await held.reserve(donor, {"a": 2}))
    reservation = await held.reserve("p", {"a": 2})
    await held.hand_over(reservation, donor)
    assert (await held.show("p"))["a"] == Standing(5, 2, 0)
    assert (await held.show("q"))["a"] == Standing(5, 0, 0)
    with pytest.raises(NotFoundError):
        await held.hand_over(reservation, donor)
