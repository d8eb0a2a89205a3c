"""Quotas: how much of each resource a project may have, and how much it has.

Who makes something reserves it first, and commits when it is there or takes back when it is not; each is one
transaction of the registry, so that two requests never get the same last unit. A commit takes the caller's own writes
along: what is counted is what is there. A reservation whose owner died is taken back when its time is over, unless the
task that it is for goes on.

    quota/<service>/limits/<project>        limits of the project by resource, where they are not the defaults
    quota/<service>/limits                  defaults that an operator has set
    quota/<service>/usage/<project>         in use and reserved by resource
    quota/<service>/reservation/<id>        what is reserved, for whom and until when
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from gateway.rest.quota_records import (
    AMOUNTS_CODEC,
    NO_LIMIT,
    RESERVATION_CODEC,
    USAGE_CODEC,
    OverQuotaError,
    Reservation,
    Standing,
    Usage,
    moved,
)
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Compare, Delete, Get, Item, Put, Registry, Span

LIMIT_MAX: Final = 2**31 - 1
RESERVED_S: Final = 3600
"""How long a reservation without a task is kept for an owner that says nothing more."""
ATTEMPTS: Final = 64
"""How often a change is tried while others change the same project: each that fails means that another succeeded."""

Step = Callable[[Mapping[bytes, Item | None]], Sequence[Put | Delete]]


class Quotas:
    """Of one service. Every resource that it counts has a default."""

    def __init__(
        self,
        registry: Registry,
        service: str,
        defaults: Mapping[str, int],
        clock: Clock,
        random: Random,
        elsewhere: Callable[[str], Mapping[str, int]] = lambda _: {},
        also: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`elsewhere`: limits of a project that are kept somewhere else, as identity's unified limits are; they count
        more than defaults. `also`: whether a resource without a default is counted, too, such as the volumes of each
        type; there is no limit of it unless one is set."""
        self._elsewhere = elsewhere
        self._registry = registry
        self._prefix = f"quota/{service}/".encode()
        self._built_in = dict(defaults)
        self._also = also
        self._clock = clock
        self._random = random

    # -- limits --------------------------------------------------------------------------------------------------

    async def show(self, project: str) -> dict[str, Standing]:
        """All resources of a project, and those without a default that it has or has a limit of; a project that nobody
        has heard of has the defaults and uses nothing."""
        wanted = [self._defaults_key, self._limits_key(project), self._usage_key(project)]
        held = await self._read(wanted)
        limits, usage = self._limits(held, project), _usage(held[self._usage_key(project)])
        names = dict.fromkeys([*limits, *usage.in_use, *usage.reserved])
        return {
            name: Standing(limits.get(name, NO_LIMIT), usage.in_use.get(name, 0), usage.reserved.get(name, 0))
            for name in names
        }

    async def defaults(self) -> dict[str, int]:
        """Limits of projects that have none of their own."""
        held = await self._read([self._defaults_key])
        return self._built_in | _amounts(held[self._defaults_key])

    async def set_limits(self, project: str, limits: Mapping[str, int]) -> None:
        """Those named get these limits, the others keep theirs. A limit may be below what is in use: then there can be
        no more. Raises InvalidError."""
        await self._set(self._limits_key(project), limits)

    async def set_defaults(self, limits: Mapping[str, int]) -> None:
        """The same for all projects without limits of their own."""
        await self._set(self._defaults_key, limits)

    async def reset_limits(self, project: str) -> None:
        """The project has the defaults again."""
        await self._registry.transact((), [Delete(self._limits_key(project))])

    # -- what is used --------------------------------------------------------------------------------------------

    async def reserve(self, project: str, amounts: Mapping[str, int], *, task: str = "") -> Reservation:
        """All of it or nothing. `task`: the id of the task that is to use it, which may take any time.

        Raises OverQuotaError for the first resource of which there is not enough; InvalidError for an unknown one.
        """
        self._check_amounts(amounts)
        until_us = self._clock.wall_us() + RESERVED_S * 1_000_000
        reservation = Reservation(self._random.bytes(16).hex(), project, dict(amounts), until_us, task)
        usage_key, limits_key = self._usage_key(project), self._limits_key(project)

        def step(held: Mapping[bytes, Item | None]) -> Sequence[Put | Delete]:
            usage, limits = _usage(held[usage_key]), self._limits(held, project)
            for name, amount in amounts.items():
                in_use, reserved = usage.in_use.get(name, 0), usage.reserved.get(name, 0)
                limit = limits.get(name, NO_LIMIT)
                if limit != NO_LIMIT and amount > 0 and in_use + reserved + amount > limit:
                    raise OverQuotaError(name, limit, in_use, reserved, amount)
            after = Usage(usage.in_use, moved(usage.reserved, amounts))
            stored = Put(self._reservation_key(reservation.id), RESERVATION_CODEC.encode(reservation))
            return [stored, Put(usage_key, USAGE_CODEC.encode(after))]

        await self._change([self._defaults_key, limits_key, usage_key], step)
        return reservation

    async def reservation(self, id_: str) -> Reservation:
        """For who knows its id alone, as a task that was taken over. Raises NotFoundError where it has ended."""
        item = await self._registry.get(self._reservation_key(id_))
        if item is None:
            raise NotFoundError("The reservation has ended.")
        return RESERVATION_CODEC.decode(item.value)

    async def commit(
        self,
        reservation: Reservation,
        operations: Sequence[Put | Delete] = (),
        compares: Sequence[Compare] = (),
        frees: Mapping[str, int] | None = None,
    ) -> None:
        """It is in use now; in the same moment `operations` are done, where `compares` hold, and what it takes the
        place of, which `frees` says, is in use no more.

        Raises NotFoundError where it has been committed or taken back, ConflictError where a compare does not hold;
        then nothing was done.
        """

        def after(usage: Usage) -> Usage:
            amounts = reservation.amounts
            in_use = moved(moved(usage.in_use, amounts), frees or {}, back=True)
            return Usage(in_use, moved(usage.reserved, amounts, back=True))

        await self._end(reservation, after, operations, compares)

    async def hand_over(
        self,
        reservation: Reservation,
        donor: str,
        operations: Sequence[Put | Delete] = (),
        compares: Sequence[Compare] = (),
    ) -> None:
        """What was in use in the project `donor` is in use in the reservation's from now on. Otherwise as `commit`."""
        reservation_key, usage_key = self._reservation_key(reservation.id), self._usage_key(reservation.project)
        donor_key, amounts = self._usage_key(donor), reservation.amounts

        def step(held: Mapping[bytes, Item | None]) -> Sequence[Put | Delete]:
            if held[reservation_key] is None:
                raise NotFoundError("The reservation has ended.")
            mine, theirs = _usage(held[usage_key]), _usage(held[donor_key])
            rest = moved(mine.reserved, amounts, back=True)
            if donor_key == usage_key:
                usages = [Put(usage_key, USAGE_CODEC.encode(Usage(mine.in_use, rest)))]
            else:
                less = Usage(moved(theirs.in_use, amounts, back=True), theirs.reserved)
                more = Usage(moved(mine.in_use, amounts), rest)
                usages = [Put(usage_key, USAGE_CODEC.encode(more)), Put(donor_key, USAGE_CODEC.encode(less))]
            return [Delete(reservation_key), *usages, *operations]

        await self._change(list(dict.fromkeys([reservation_key, usage_key, donor_key])), step, compares)

    async def take_back(self, reservation: Reservation) -> None:
        """It was not used. Raises NotFoundError where it has been committed or taken back."""
        await self._end(
            reservation, lambda usage: Usage(usage.in_use, moved(usage.reserved, reservation.amounts, back=True))
        )

    async def free(
        self,
        project: str,
        amounts: Mapping[str, int],
        operations: Sequence[Put | Delete] = (),
        compares: Sequence[Compare] = (),
    ) -> None:
        """So much is in use no more; in the same moment `operations` are done, where `compares` hold: those that
        delete what was counted, and that it is there. Raises ConflictError where they do not hold."""
        self._check_amounts(amounts)
        key = self._usage_key(project)

        def step(held: Mapping[bytes, Item | None]) -> Sequence[Put | Delete]:
            usage = _usage(held[key])
            after = Usage(moved(usage.in_use, amounts, back=True), usage.reserved)
            return [Put(key, USAGE_CODEC.encode(after)), *operations]

        await self._change([key], step, compares)

    async def sweep(self, goes_on: Callable[[str], Awaitable[bool]]) -> int:
        """Take back what owners left behind; at each start, and now and then. `goes_on`: whether a task does. How many
        there were."""
        count = 0
        for item in await self._registry.range(Span.prefix(self._prefix + b"reservation/")):
            reservation = RESERVATION_CODEC.decode(item.value)
            if reservation.until_us > self._clock.wall_us() or (reservation.task and await goes_on(reservation.task)):
                continue
            try:
                await self.take_back(reservation)
            except NotFoundError:
                continue  # its owner was only slow, or another sweeps, too
            count += 1
        return count

    # -- one transaction -----------------------------------------------------------------------------------------

    async def _set(self, key: bytes, limits: Mapping[str, int]) -> None:
        for name, limit in limits.items():
            if not self._is_counted(name) or not NO_LIMIT <= limit <= LIMIT_MAX:
                raise InvalidError(f"{name}: {limit} is no limit of anything that is counted here")

        def step(held: Mapping[bytes, Item | None]) -> Sequence[Put | Delete]:
            return [Put(key, AMOUNTS_CODEC.encode({**_amounts(held[key]), **limits}))]

        await self._change([key], step)

    async def _end(
        self,
        reservation: Reservation,
        after: Callable[[Usage], Usage],
        operations: Sequence[Put | Delete] = (),
        compares: Sequence[Compare] = (),
    ) -> None:
        reservation_key, usage_key = self._reservation_key(reservation.id), self._usage_key(reservation.project)

        def step(held: Mapping[bytes, Item | None]) -> Sequence[Put | Delete]:
            if held[reservation_key] is None:
                raise NotFoundError("The reservation has ended.")
            usage = USAGE_CODEC.encode(after(_usage(held[usage_key])))
            return [Delete(reservation_key), Put(usage_key, usage), *operations]

        await self._change([reservation_key, usage_key], step, compares)

    async def _change(self, keys: Sequence[bytes], step: Step, compares: Sequence[Compare] = ()) -> None:
        """Do what `step` says of what is held at `keys`; again, where that changed meanwhile."""
        for _ in range(ATTEMPTS):
            held = await self._read(keys)
            operations = step(held)
            unchanged = [Compare.unchanged(key, item.mod_revision if item else 0) for key, item in held.items()]
            looks = [Get(key) for key in keys]
            result = await self._registry.transact([*unchanged, *compares], operations, looks)
            if result.succeeded:
                return
            if list(result.answers) == list(held.values()):
                raise ConflictError("What this is about has changed meanwhile.")
        raise ConflictError("Others keep changing the same; try again.")

    async def _read(self, keys: Sequence[bytes]) -> dict[bytes, Item | None]:
        """What is held in one moment."""
        held: dict[bytes, Item | None] = {}
        result = await self._registry.transact((), [Get(key) for key in keys])
        for key, item in zip(keys, result.answers, strict=True):
            assert not isinstance(item, int)
            held[key] = item
        return held

    # -- keys and values -----------------------------------------------------------------------------------------

    def _limits(self, held: Mapping[bytes, Item | None], project: str) -> dict[str, int]:
        defaults, own = _amounts(held[self._defaults_key]), _amounts(held[self._limits_key(project)])
        return {**self._built_in, **defaults, **self._elsewhere(project), **own}

    def _check_amounts(self, amounts: Mapping[str, int]) -> None:
        for name, amount in amounts.items():
            if not self._is_counted(name) or not 0 <= amount <= LIMIT_MAX:
                raise InvalidError(f"{name}: {amount} of it cannot be counted")

    def _is_counted(self, name: str) -> bool:
        return name in self._built_in or self._also(name)

    @property
    def _defaults_key(self) -> bytes:
        return self._prefix + b"limits"

    def _limits_key(self, project: str) -> bytes:
        return self._prefix + f"limits/{quote(project, safe='')}".encode()

    def _usage_key(self, project: str) -> bytes:
        return self._prefix + f"usage/{quote(project, safe='')}".encode()

    def _reservation_key(self, id_: str) -> bytes:
        return self._prefix + f"reservation/{id_}".encode()


def _usage(item: Item | None) -> Usage:
    return Usage({}, {}) if item is None else USAGE_CODEC.decode(item.value)


def _amounts(item: Item | None) -> dict[str, int]:
    return {} if item is None else AMOUNTS_CODEC.decode(item.value)
