"""Microversions: a request says which small version of an API it means, in a header; the answer says which it got.

As the API SIG's guideline "Microversion Specification" has it: `OpenStack-API-Version: volume 3.59`, several services'
joined by commas; `latest` is the newest. Older clients send a header of the one service with the number alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from starlette.datastructures import Headers

from gateway.rest.errors import NotAcceptableError
from store.core.errors import InvalidError

HEADER: Final = "OpenStack-API-Version"
LATEST: Final = "latest"

_NUMBERS: Final = re.compile(r"([1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})")


class Microversion(NamedTuple):
    """Ordered by both numbers: 2.10 is above 2.9."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class VersionRangeError(NotAcceptableError):
    """The microversion that was asked for is not spoken here; `least` to `most` are."""

    def __init__(self, asked: Microversion, least: Microversion, most: Microversion) -> None:
        super().__init__(f"Version {asked} is not supported by the API. Minimum is {least} and maximum is {most}.")
        self.least = least
        self.most = most


@dataclass(frozen=True, slots=True)
class Microversions:
    """Those that a service speaks. A request that asks for none gets the least."""

    service: str
    """Its type in the header, such as `volume`."""
    least: Microversion
    most: Microversion
    older_header: str = ""
    """Such as `X-OpenStack-Nova-API-Version`; "" where the service never had one. It counts where the other is not
    there."""

    def chosen(self, headers: Headers) -> Microversion:
        """The one that a request means. Raises InvalidError where it is malformed, VersionRangeError where it is not
        spoken."""
        asked = self._asked(headers)
        if asked is None:
            return self.least
        if asked.lower() == LATEST:
            return self.most
        numbers = _NUMBERS.fullmatch(asked)
        if numbers is None:
            raise InvalidError(
                f"API Version String {asked!a} is of invalid format. Must be of format MajorNum.MinorNum."
            )
        version = Microversion(int(numbers[1]), int(numbers[2]))
        if not self.least <= version <= self.most:
            raise VersionRangeError(version, self.least, self.most)
        return version

    def told(self, version: Microversion) -> dict[str, str]:
        """The headers of an answer that was given as of `version`."""
        headers = {HEADER: f"{self.service} {version}"}
        return headers | ({self.older_header: str(version)} if self.older_header else {})

    def vary(self) -> list[str]:
        """The headers of a request that change what is answered."""
        return [HEADER, self.older_header] if self.older_header else [HEADER]

    def _asked(self, headers: Headers) -> str | None:
        entries = [entry.split() for line in headers.getlist(HEADER) for entry in line.split(",")]
        named = [entry for entry in entries if entry and entry[0].lower() == self.service]
        if named:
            return " ".join(named[-1][1:])  # the last one counts, as for any header that is sent twice
        if self.older_header and self.older_header in headers:
            return headers[self.older_header].strip()
        return None
