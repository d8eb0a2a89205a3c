"""What the object layer refuses, beyond what the store does. Each dialect says it in its own words."""

from __future__ import annotations

from enum import Enum

from store.core.errors import CallerError, ConflictError, InvalidError, NotFoundError


class AccessError(CallerError):
    """Whoever asks may not. `known` says whether they are known at all: strangers may try again under a name."""

    def __init__(self, *, known: bool) -> None:
        super().__init__("access denied")
        self.known = known


class SignatureError(AccessError):
    """A signature that is not good for this."""

    def __init__(self) -> None:
        super().__init__(known=False)


class QuotaError(CallerError):
    """What an account, one of its policies or a container may hold is not enough for this."""


class TooLargeError(CallerError):
    """More bytes than an object may have."""


class ShortError(CallerError):
    """Fewer bytes came than were announced: whoever sends them is gone."""


class RangeError(CallerError):
    """There are no bytes where the range is. `size` is how many there are."""

    def __init__(self, size: int) -> None:
        super().__init__(f"not within {size} bytes")
        self.size = size


class SegmentError(CallerError):
    """A segment is not what its manifest says, or not there, or not to be read by whoever asks."""


class OwnershipError(ConflictError):
    """A manifest cannot own these segments."""


class LinkTrouble(Enum):
    """What is wrong with a link."""

    MISSING = "its target does not exist"
    ETAG = "its target has another etag"
    DISAGREE = "it vouches for another etag than the link that it names"
    LOOP = "too many links in a row"


class LinkError(ConflictError):
    """A link cannot be followed, or kept. `path` is what it is about: account, container and object. Where it is for an
    etag, `found` is that of the target and `wanted` the one that the link vouches for."""

    def __init__(
        self, why: LinkTrouble, path: tuple[str, str, str] | None = None, *, found: str = "", wanted: str = ""
    ) -> None:
        super().__init__(why.value)
        self.why = why
        self.path = path
        self.found = found
        self.wanted = wanted


class NotVersionedError(InvalidError):
    """A version is named where a container keeps none."""


class BadVersionError(InvalidError):
    """That cannot be the id of a version."""


class VersionsRemainError(ConflictError):
    """A container without objects whose versions are still there."""


class VersionsLocationError(CallerError):
    """The container that versions are copied to is not there."""


class MarkerError(NotFoundError):
    """The version that is named, or made just now, says that the object was deleted."""

    def __init__(self, version: str, *, made: bool) -> None:
        super().__init__(f"version {version} marks a deletion")
        self.version = version
        self.made = made


class IncompleteError(Exception):
    """Bytes are missing: what was begun cannot be ended as promised."""
