"""One request as it can still be changed, who may be named in it, and its bytes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

Field = tuple[bytes, bytes]


class Framing(Enum):
    """How the end of a body is told."""

    LENGTH = "length"
    CHUNKED = "chunked"
    NONE = "none"


class Ending(Enum):
    """What the client does when it has said everything."""

    STAY = "stay"
    """Waits until the server closes."""
    HALF = "half"
    """Ends its side, and reads on."""
    GONE = "gone"
    """Is gone at once."""
    DEAF = "deaf"
    """Has never read anything, and goes after a long time."""


@dataclass(frozen=True)
class Cast:
    """The names that requests use: accounts, tokens, the key that signs, and what time it is."""

    account: str
    other: str
    tokens: tuple[bytes, ...]
    """The first owns `account`."""
    now_s: int
    key: str = "key"
    domain: str = "store.test"
    password: str = "open sesame"


@dataclass(frozen=True)
class Ask:
    """A request. `fields` are without those that frame the body."""

    method: bytes
    target: bytes
    fields: tuple[Field, ...] = ()
    body: bytes = b""
    framing: Framing = Framing.LENGTH

    def with_fields(self, *fields: Field) -> Ask:
        """The same with more fields."""
        return replace(self, fields=(*self.fields, *fields))

    def render(self) -> bytes:
        """Its bytes."""
        lines = [b"%b %b HTTP/1.1" % (self.method, self.target)]
        lines += [b"%b: %b" % pair for pair in self.fields]
        body = self.body
        if self.framing is Framing.CHUNKED:
            lines.append(b"Transfer-Encoding: chunked")
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        elif self.framing is Framing.LENGTH:
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Conversation:
    """All that one client sends on one connection."""

    packets: tuple[bytes, ...] = field(repr=False)
    ending: Ending

    def __repr__(self) -> str:
        shown = b"".join(self.packets)
        text = repr(shown) if len(shown) < 4000 else f"{shown[:4000]!r}... ({len(shown)} bytes)"
        return f"Conversation({self.ending}, {len(self.packets)} packets: {text})"
