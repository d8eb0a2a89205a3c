"""An address that nobody has, found without looking at all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from compute_plugin.networks.addresses.spans import Span, span_of_pool, text_of
from compute_plugin.networks.records.network import Pool


def free_address(pools: Sequence[Pool], is_used: Callable[[str], bool], start: int = 0) -> str | None:
    """The first free one, beginning with the `start`-th of the pools and going round; None where there is none.

    Those who begin anywhere are seldom in each other's way, so that one is found at once as long as there are some; and
    what was just given up is not what is given out next, while others still think of it as somebody else's."""
    spans = [span_of_pool(one) for one in pools]
    total = sum(one.size for one in spans)
    if total == 0:
        return None
    for span in _turned(spans, start % total):
        for number in range(span.first, span.last + 1):
            address = text_of(span.version, number)
            if not is_used(address):
                return address
    return None


def _turned(spans: Sequence[Span], start: int) -> Iterator[Span]:
    """The same addresses, beginning with the `start`-th."""
    before: list[Span] = []
    for span in spans:
        if start >= span.size:
            before.append(span)
            start -= span.size
            continue
        if start:
            before.append(span._replace(last=span.first + start - 1))
        yield span._replace(first=span.first + start)
        start = 0
    yield from before
