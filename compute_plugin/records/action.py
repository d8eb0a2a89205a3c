"""What was done to servers, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from compute_plugin.tables.record_codec import each, record_codec


class ActionEvent(NamedTuple):
    """A part of an action, done on one host."""

    event: str
    """Such as `compute__do_build_and_run_instance`."""
    started_us: int
    finished_us: int
    """0 as long as it goes on."""
    result: str
    """`Success`, `Error`; "" as long as it goes on."""
    host: str
    details: str
    """What went wrong, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAction:
    """Stays for a while after its server."""

    id: str
    """The server's id and the request's, with a slash between."""
    server_id: str
    request_id: str
    action: str
    """`create`, `stop`, `reboot` ... in Nova's words."""
    project_id: str
    user_id: str
    started_us: int
    updated_us: int
    message: str | None = None
    """`Error` where it failed."""
    events: tuple[ActionEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """A server that went, or goes, from one host to another, or to another size."""

    id: str
    """A UUID."""
    number: int
    """As clients say it."""
    server_id: str
    project_id: str
    user_id: str
    type: str
    """`migration`, `resize`, `live-migration` or `evacuation`."""
    status: str
    """In Nova's words: `queued`, `migrating`, `finished`, `confirmed`, `reverted`, `completed`, `error` ..."""
    source: str
    """A host's name."""
    target: str
    """"" as long as it is not known."""
    old_flavor_id: str
    new_flavor_id: str
    created_us: int
    updated_us: int
    abort: bool = False
    """Whether somebody wants it to end where it began."""


ACTION_CODEC: Final = record_codec("server action", ServerAction, events=each(ActionEvent))
MIGRATION_CODEC: Final = record_codec("migration", Migration)
