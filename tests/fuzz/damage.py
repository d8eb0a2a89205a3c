"""Valid requests spoilt: in their parts, where a wrong one gets furthest, and in the bytes of the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from hypothesis import strategies as st

from tests.fuzz.asking import Ask, Cast, Conversation, Ending, Framing
from tests.fuzz.valid import requests
from tests.fuzz.words import FIELDS, PARAMETERS, odd, rude

Draw = st.DrawFn
Damage = Callable[[Draw, Ask], Ask]

_METHODS = (b"GET", b"HEAD", b"PUT", b"POST", b"DELETE", b"COPY", b"OPTIONS", b"PATCH", b"CONNECT", b"X" * 30, b"")


def _spoilt(draw: Draw, value: bytes) -> bytes:
    """A value with something odd instead of it, in it, or at an end of it."""
    what = draw(odd)
    start = draw(st.integers(0, len(value)))
    end = draw(st.sampled_from([start, len(value), min(start + 1, len(value))]))
    return what if draw(st.booleans()) else value[:start] + what + value[end:]


def _value(draw: Draw, ask: Ask) -> Ask:
    if not ask.fields:
        return ask
    at = draw(st.integers(0, len(ask.fields) - 1))
    name, value = ask.fields[at]
    return replace(ask, fields=(*ask.fields[:at], (name, _spoilt(draw, value)), *ask.fields[at + 1 :]))


def _twice(draw: Draw, ask: Ask) -> Ask:
    if not ask.fields:
        return ask
    name, value = draw(st.sampled_from(ask.fields))
    return ask.with_fields((name, draw(st.sampled_from([value, _spoilt(draw, value)]))))


def _less(draw: Draw, ask: Ask) -> Ask:
    if not ask.fields:
        return ask
    at = draw(st.integers(0, len(ask.fields) - 1))
    return replace(ask, fields=ask.fields[:at] + ask.fields[at + 1 :])


def _more(draw: Draw, ask: Ask) -> Ask:
    name, value = draw(st.sampled_from(FIELDS))
    return ask.with_fields((name, draw(st.sampled_from([value, draw(odd)]))))


def _method(draw: Draw, ask: Ask) -> Ask:
    return replace(ask, method=draw(st.sampled_from(_METHODS)))


def _target(draw: Draw, ask: Ask) -> Ask:
    path, mark, query = ask.target.partition(b"?")
    at = draw(st.integers(0, len(path)))
    return replace(ask, target=path[:at] + draw(odd) + path[at:] + mark + query)


def _query(draw: Draw, ask: Ask) -> Ask:
    path, _, query = ask.target.partition(b"?")
    parameters = query.split(b"&") if query else []
    if draw(st.booleans()) and parameters:
        at = draw(st.integers(0, len(parameters) - 1))
        name, _, value = parameters[at].partition(b"=")
        parameters[at] = name + b"=" + _spoilt(draw, value)
    else:
        name, _, value = draw(st.sampled_from(PARAMETERS)).partition(b"=")
        parameters.append(name + b"=" + draw(st.sampled_from([value, draw(odd)])))
    return replace(ask, target=path + b"?" + b"&".join(parameters))


def _body(draw: Draw, ask: Ask) -> Ask:
    return replace(ask, body=_spoilt(draw, ask.body))


def _framing(draw: Draw, ask: Ask) -> Ask:
    length = draw(st.sampled_from([0, 1, max(len(ask.body) - 1, 0), len(ask.body) + 1, 65_537, 2**40, 2**63, -1]))
    return replace(ask, framing=Framing.NONE).with_fields((b"Content-Length", b"%d" % length))


_DAMAGES: tuple[Damage, ...] = (
    _value,
    _value,
    _twice,
    _less,
    _more,
    _more,
    _method,
    _target,
    _query,
    _query,
    _body,
    _framing,
)


@st.composite
def _damaged(draw: Draw, cast: Cast) -> bytes:
    ask = draw(requests(cast))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3]))):
        ask = draw(st.sampled_from(_DAMAGES))(draw, ask)
    return ask.render()


def _cut(raw: bytes, places: list[int]) -> tuple[bytes, ...]:
    edges = sorted({0, len(raw), *(place % (len(raw) + 1) for place in places)})
    return tuple(raw[start:end] for start, end in pairwise(edges))


@st.composite
def conversations(draw: Draw, cast: Cast) -> Conversation:
    """What one client sends on one connection: some requests, cut into packets somehow."""
    rendered: list[bytes] = draw(st.lists(_damaged(cast), min_size=1, max_size=6))
    raw = b"".join(rendered)
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 0, 0, 1, 3]))):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(rude) + raw[at + draw(st.integers(0, 3)) :]
    if not draw(st.integers(0, 7)):
        raw = raw[: draw(st.integers(0, len(raw)))]
    places = draw(st.lists(st.integers(0, 2**20), max_size=6))
    ending = draw(st.sampled_from([Ending.HALF, Ending.HALF, Ending.HALF, Ending.STAY, Ending.GONE, Ending.DEAF]))
    return Conversation(_cut(raw, places), ending)
