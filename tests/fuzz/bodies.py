"""Bodies with a shape of their own, JSON and archives: right, and wrong in some places."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tarfile
from typing import Any

from hypothesis import strategies as st

Draw = st.DrawFn

small = st.sampled_from([b"", b"x", b"hello world", b"0123456789" * 20])

GONE = object()
numbers = st.sampled_from([0, 1, -1, 5, 2**31, 2**63, 2**64, -(2**63), 10**30, 1e308, -0.5, float("inf"), float("nan")])
scalars = st.one_of(
    st.none(), st.booleans(), numbers, st.text(max_size=5),
    st.sampled_from(["", "0-4", "-5", "0-", "9-1", "plain/small", "/seg/a", "seg/", "\0", "\ud800", "a" * 1100, "é",
                     "²", "5" * 5000]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def _places(body: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [body]
    for held in waiting:
        entries = list(held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ())
        found += [(held, key) for key, _ in entries]
        waiting += [inner for _, inner in entries]
    return found


@st.composite
def spoilt_json(draw: Draw, right: Any) -> Any:
    """A value that was right, and has something else in some places."""
    spoilt = json.loads(json.dumps(right))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        places = _places(spoilt)
        if not places:
            break
        held, key = draw(st.sampled_from(places))
        what = draw(st.one_of(st.just(GONE), values))
        if what is GONE:
            del held[key]
        else:
            held[key] = what
    return spoilt


@st.composite
def deep_json(draw: Draw) -> bytes:
    """Brackets and braces far deeper than anybody needs."""
    depth = draw(st.sampled_from([10, 500, 990, 5000, 100_000]))
    return draw(st.sampled_from([b"[", b'{"a":', b'[{"path":', b'[{"data":['])) * depth


_PLACES = ((0, 100), (100, 8), (124, 12), (136, 12), (148, 8), (156, 1), (257, 8), (345, 155))
"""Fields of a member's head: name, mode, size, time, checksum, type, magic, prefix."""
_FILLINGS = (
    b"\x80" + b"\xff" * 11, b"\xff" * 12, b"77777777777\0", b"-0000000005\0", b"L", b"x", b"g", b"S", b"\0", b"9",
)  # fmt: skip


@st.composite
def tars(draw: Draw) -> bytes:
    """Archives, whole or with damaged heads, some of which still add up."""
    buffer = io.BytesIO()
    kind = draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]))
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for _ in range(draw(st.integers(0, 4))):
            name = draw(
                st.sampled_from(["new/a", "new/b", "d/e/f", "é", "./plain/x", "/x/y", "quota/z", "ver/q", "x" * 99])
            )
            member = tarfile.TarInfo(name)
            member.type = draw(
                st.sampled_from([tarfile.REGTYPE] * 4 + [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
            )
            data = draw(small) if member.isreg() else b""
            member.size = len(data)
            member.pax_headers = draw(st.dictionaries(
                st.sampled_from(["SCHILY.xattr.user.mime_type", "SCHILY.xattr.user.meta.a", "path", "size", "x",
                                 "LIBARCHIVE.xattr.user.meta.é"]),
                st.sampled_from(["text/x", "é", "a\nb", "-5", "9" * 20, "7", "new/pax", "\0", "²", "1_0"]),
                max_size=2,
            ))  # fmt: skip
            archive.addfile(member, io.BytesIO(data))
    raw = bytearray(buffer.getvalue())
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        start = 512 * draw(st.integers(0, len(raw) // 512 - 1))
        at, width = draw(st.sampled_from(_PLACES))
        filled = draw(st.one_of(st.sampled_from(_FILLINGS), st.binary(max_size=width)))
        raw[start + at : start + at + len(filled[:width])] = filled[:width]
        if draw(st.booleans()):
            block = raw[start : start + 512]
            block[148:156] = b" " * 8
            raw[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    return bytes(raw)


def _bomb() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("quota/bomb")
        member.size = 4_000_000
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


BOMBS = {"gz": gzip.compress(_bomb(), mtime=0), "bz2": bz2.compress(_bomb())}
