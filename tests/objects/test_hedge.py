"""What a failure changes of what is asked for."""

from __future__ import annotations

import pytest

from store.core.errors import DeviceError
from store.device.port import ReadReply
from store.objects.reading import _StripeRead
from store.objects.rowcodec import DataLocation

LOCATION = DataLocation(1 << 20, 4, 2, "codec", tuple(range(6)))


def asked_of(wanted: range, *, broken: set[int], raising: bool) -> tuple[_StripeRead, list[int]]:
    """A read of some fragments of four and two, of which some are not to be had; and who was asked."""
    asked: list[int] = []

    def submit(number: int, reply: ReadReply) -> None:
        asked.append(number)
        if number not in broken:
            reply(number, memoryview(b"x"), None)
        elif raising:
            raise DeviceError("out")
        else:
            reply(number, None, DeviceError("out"))

    return _StripeRead(wanted, LOCATION, submit), asked


def test_only_the_fragments_that_are_wanted_are_asked_for() -> None:
    read, asked = asked_of(range(1, 3), broken=set(), raising=True)
    assert read.ask()
    assert asked == [1, 2]


@pytest.mark.parametrize("raising", [True, False])
@pytest.mark.parametrize("broken", [{1}, {2}, {1, 2}, {1, 5}, {0, 3}])
async def test_where_one_of_them_fails_any_four_will_do(broken: set[int], raising: bool) -> None:
    read, _ = asked_of(range(1, 3), broken=broken, raising=raising)
    assert read.ask()
    assert read.enough
    assert set(read.answers) >= {1, 2} or len(read.answers) == 4


@pytest.mark.parametrize("raising", [True, False])
async def test_with_three_broken_there_are_not_enough(raising: bool) -> None:
    read, asked = asked_of(range(1, 3), broken={1, 2, 3}, raising=raising)
    assert not read.ask()
    assert not await read.wait()
    assert (sorted(asked), sorted(read.answers)) == (list(range(6)), [0, 4, 5])
