"""Backups: listed, shown, changed and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.volumes import backup_create
from gateway.volumes.backup_find import backup_standing, find_backup, require_backup
from gateway.volumes.backup_view import METADATA, detail, summary
from gateway.volumes.call import Call, from_minor, of
from gateway.volumes.listing import Filters, Listed, page, wants_all
from gateway.volumes.reading import metadata, text_or_none
from gateway.volumes.records import overtaken
from gateway.volumes.standing import ATTEMPTS
from gateway.volumes.work import backups as work
from store.core.errors import ConflictError, InvalidError

UPDATE: Final = 9
ATTRIBUTES: Final = "backup:backup_project_attribute"
FILTERS: Final = Filters(
    exact=frozenset({"id", "name", "status", "volume_id", "snapshot_id", "project_id", "user_id", "container", "size"}),
    like=frozenset({"name", "description"}),
    sorts=frozenset(
        {"id", "name", "display_name", "status", "size", "volume_id", "container", "created_at", "updated_at"}
        | {"data_timestamp"}
    ),
)
DELETABLE: Final = ("available", "error", "error_deleting")


async def list_backups(call: Call) -> Response:
    found = await _listed(call)
    return answer(found.document("backups", [summary(call, row["_"]) for row in found.rows]))


async def list_backups_detail(call: Call) -> Response:
    found = await _listed(call)
    return answer(found.document("backups", [row["detail"] for row in found.rows]))


async def show_backup(call: Call) -> Response:
    found = await find_backup(call, "backup:get")
    now, status = await backup_standing(call.service, found.record)
    dependents = await call.service.backups.has_dependents(now)
    admin = await _sees_attributes(call, now.project_id)
    return answer({"backup": detail(call, now, status, dependents=dependents, admin=admin)})


async def update_backup(call: Call) -> Response:
    """Another name, description or metadata."""
    found = await find_backup(call, "backup:update")
    asked = (await call.body()).object("backup")
    names = {*asked.names()}
    asked.refuse_others({"name", "description"} | ({"metadata"} if call.since(METADATA) else set()))
    name, description = text_or_none(asked, "name"), text_or_none(asked, "description")
    kept = metadata("metadata", asked.value("metadata"))
    now = call.service.clock.wall_us()
    after = await call.service.backups.change(
        found.record.id,
        lambda one: replace(
            one,
            name=name if "name" in names else one.name,
            description=description if "description" in names else one.description,
            metadata=kept if "metadata" in names else one.metadata,
            updated_us=now,
        ),
    )
    return answer({"backup": summary(call, after)})


async def delete_backup(call: Call) -> Response:
    found = await find_backup(call, "backup:delete")
    await begin_delete(call, found.record.id, DELETABLE)
    return accepted()


async def begin_delete(call: Call, id_: str, allowed: Sequence[str] | None) -> None:
    """Start to delete one that is in a status that is allowed; None is any. Raises InvalidError."""
    service = call.service
    for _ in range(ATTEMPTS):
        found = await service.backups.find(id_)
        now, status = await backup_standing(service, found.record)
        if now != found.record:
            continue
        if allowed is not None:
            require_backup(status, allowed)
        if await service.backups.has_dependents(now):
            raise InvalidError("Invalid backup: Incremental backups exist for this backup.")
        task = service.tasks.new_id()
        after = replace(now, doing=overtaken(now.doing, "deleting", task), error="", declared="")
        try:
            await service.runner.start(work.DELETE, {"backup": id_}, [service.backups.put(after)], [found.same], task)
        except ConflictError:
            continue
        return
    raise ConflictError("Others keep changing the backup; try again.")


async def _sees_attributes(call: Call, project: str) -> bool:
    """Whose a backup is."""
    return bool(call.policy.decide(ATTRIBUTES, await call.credentials(), of(project)))


async def _listed(call: Call) -> Listed:
    everywhere = await wants_all(call)
    mine = str((await call.credentials()).get("project_id") or "")
    await call.allow("backup:get_all", of(mine))
    table = call.service.backups
    backups = await table.every() if everywhere else await table.of_project(mine)
    parents = {project: await table.parents(project) for project in {one.project_id for one in backups}}
    admin = await _sees_attributes(call, mine)
    rows = []
    for one in backups:
        now, status = await backup_standing(call.service, one)
        dependents = now.id in parents[now.project_id]
        shown = detail(call, now, status, dependents=dependents, admin=admin)
        rows.append({**shown, "project_id": now.project_id, "user_id": now.user_id, "detail": shown, "_": now})
    return page(call, rows, FILTERS)


ROUTES: Final[Routes[Call]] = {
    "/backups": {"GET": list_backups, "POST": backup_create.create_backup},
    "/backups/detail": {"GET": list_backups_detail},
    "/backups/{backup_id}": {
        "GET": show_backup,
        "PUT": from_minor(UPDATE, update_backup),
        "DELETE": delete_backup,
    },
}
