"""What is told of servers does not grow for ever: actions, migrations and leave to see consoles go. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from compute_plugin.records.action import Migration, ServerAction
from compute_plugin.records.records import Records

DAY_US: Final = 24 * 3600 * 1_000_000
KEPT_US: Final = 30 * DAY_US
"""How long what was done to a server is told when it is gone."""
ACTIONS_MOST: Final = 500
"""Of a server that is there: the newest."""
MIGRATIONS_MOST: Final = 100


def forget(records: Records, now_us: int, most: int) -> int:
    """A step of a change: so much of what is old goes, at most. How much did: as much says that there may be more."""
    done = 0
    for _, action in zip(range(most), _old_actions(records, now_us), strict=False):
        records.actions.delete(action.id)
        done += 1
    for _, migration in zip(range(most - done), _old_migrations(records, now_us), strict=False):
        records.migrations.delete(migration.id)
        done += 1
    tokens = [one.id for one in records.console_tokens if one.until_us <= now_us]
    for id_ in tokens[: most - done]:
        records.console_tokens.delete(id_)
        done += 1
    return done


def _old_actions(records: Records, now_us: int) -> list[ServerAction]:
    return [
        one
        for server in {action.server_id for action in records.actions}
        for one in _of_server(records, server, now_us)
    ]


def _of_server(records: Records, server: str, now_us: int) -> Iterator[ServerAction]:
    held = sorted(records.actions.by("server", server), key=lambda one: one.started_us)
    there = records.servers.get(server)
    if there is None:
        # All of it goes at once: a list of what was done begins with how it began.
        if held[-1].updated_us + KEPT_US <= now_us:
            yield from held
        return
    doing = there.transition.request_id if there.transition is not None else ""
    yield from (one for one in held[:-ACTIONS_MOST] if one.request_id != doing)


def _old_migrations(records: Records, now_us: int) -> list[Migration]:
    found: list[Migration] = []
    for server in {one.server_id for one in records.migrations}:
        held = sorted(records.migrations.by("server", server), key=lambda one: one.number)
        there = records.servers.get(server)
        if there is None:
            found += [one for one in held if one.updated_us + KEPT_US <= now_us]
        elif there.transition is None and there.before is None:
            found += held[:-MIGRATIONS_MOST]
    return found
