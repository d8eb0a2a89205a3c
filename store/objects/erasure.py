"""Erasure codes: a stripe in, k + m fragments out; any k of them in, the stripe out.

Two codecs, named in the policy and with every object, since fragments of one cannot be read by another:

- `zfec`: Reed-Solomon by zfec. Fragment i < k is the i-th part of the stripe padded with zeros to a multiple of k.
- `isal`: Reed-Solomon with a Cauchy matrix by Intel's ISA-L through pyeclib, several times faster. A fragment is what
  liberasurecode makes: an 80-byte header, then the same part (Vandermonde is not offered: unsafe with m > 4).

Both are systematic, so reading without loss decodes nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import zfec

from store.core.errors import DamageError, InvalidError

Buffer = bytes | bytearray | memoryview
FRAGMENTS_MAX = 32
"""liberasurecode's bound."""
_ISAL_HEADER_BYTES = 80


class ErasureCodec(Protocol):
    """Both calls let go of the GIL for the work itself, and block for its time: call them in a worker."""

    def encode(self, stripe: Buffer) -> Sequence[Buffer]:
        """k + m fragments of equal length, in order."""
        ...

    def decode(self, fragments: Mapping[int, Buffer], length: int) -> Buffer:
        """The stripe of `length` bytes from any k fragments by number. Raises DamageError with fewer."""
        ...

    def part(self, fragment: Buffer) -> memoryview:
        """The piece of the stripe that a fragment numbered below k holds."""
        ...


class ZfecCodec:
    """zfec."""

    def __init__(self, k: int, m: int) -> None:
        self._k = k
        self._encoder = zfec.Encoder(k, k + m)
        self._decoder = zfec.Decoder(k, k + m)

    def encode(self, stripe: Buffer) -> Sequence[Buffer]:
        view = memoryview(stripe)
        size = -(-len(view) // self._k)
        parts: list[Buffer] = [view[i * size : (i + 1) * size] for i in range(self._k)]
        parts = [part if len(part) == size else bytes(part).ljust(size, b"\0") for part in parts]
        encoded: list[Buffer] = self._encoder.encode(parts)
        return encoded

    def decode(self, fragments: Mapping[int, Buffer], length: int) -> Buffer:
        numbers = _enough(fragments, self._k)
        parts = self._decoder.decode([fragments[number] for number in numbers], numbers)
        return memoryview(b"".join(parts))[:length]

    def part(self, fragment: Buffer) -> memoryview:
        return memoryview(fragment)


class IsalCodec:
    """ISA-L by way of pyeclib."""

    def __init__(self, k: int, m: int) -> None:
        from pyeclib.ec_iface import ECDriver

        self._k = k
        self._driver: Any = ECDriver(k=k, m=m, ec_type="isa_l_rs_cauchy")

    def encode(self, stripe: Buffer) -> Sequence[Buffer]:
        fragments: Sequence[Buffer] = self._driver.encode(bytes(stripe))
        return fragments

    def decode(self, fragments: Mapping[int, Buffer], length: int) -> Buffer:
        numbers = _enough(fragments, self._k)
        if numbers == list(range(self._k)):
            return memoryview(b"".join(self.part(fragments[number]) for number in numbers))[:length]
        stripe: bytes = self._driver.decode([bytes(fragments[number]) for number in numbers])
        if len(stripe) != length:
            raise DamageError(f"a stripe of {len(stripe)} bytes came out where {length} went in")
        return stripe

    def part(self, fragment: Buffer) -> memoryview:
        return memoryview(fragment)[_ISAL_HEADER_BYTES:]


def _enough(fragments: Mapping[int, Buffer], k: int) -> list[int]:
    if len(fragments) < k:
        raise DamageError(f"{len(fragments)} fragments of {k} needed")
    return sorted(fragments)[:k]


def available_codec() -> str:
    """The faster of the codecs that are installed."""
    return "isal" if importlib.util.find_spec("pyeclib") is not None else "zfec"


@lru_cache(maxsize=64)
def codec_for(name: str, k: int, m: int) -> ErasureCodec:
    """The codec of a policy. Raises InvalidError where it is unknown, not installed, or out of range."""
    if not (k >= 1 and m >= 1 and k + m <= FRAGMENTS_MAX):
        raise InvalidError(f"an erasure code of {k} + {m} is out of range: at most {FRAGMENTS_MAX} fragments")
    if name == "zfec":
        return ZfecCodec(k, m)
    if name == "isal":
        if available_codec() != "isal":
            raise InvalidError("the codec isal needs the package pyeclib: pip install 'drystone[isal]'")
        return IsalCodec(k, m)
    raise InvalidError(f"there is no erasure codec {name!r} (there are: zfec, isal)")
