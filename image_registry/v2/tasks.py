"""`/v2/tasks`, and the tasks of an image: imports, as clients see them."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.task_records import State, Task
from gateway.rest.tasks import KEPT_S
from image_registry.importing import IMPORT, LOCATION
from image_registry.v2.body import object_body
from image_registry.v2.call import Call
from image_registry.v2.images import made_image
from image_registry.v2.import_methods import WEB_DOWNLOAD
from image_registry.v2.importing import described, started
from image_registry.v2.view import time_view
from store.core.errors import InvalidError, NotFoundError

LIMIT_DEFAULT: Final = 25
LIMIT_MAX: Final = 1000
_STATUS: Final = {State.RUNNING: "processing", State.FINISHED: "success", State.FAILED: "failure"}
STATUSES: Final = ("pending", *_STATUS.values())

_DETAILS: Final = frozenset({"input", "result", "message"})
"""Told of one task, and not in lists."""

Row = dict[str, Any]


async def list_of_image(call: Call) -> Response:
    """Those that the caller's project began for an image, for two days after their end; all, to administrators: what
    was asked for, and who asked, is no business of everybody who may see the image."""
    image = (await call.found()).image
    tasks = [task for task in await _imports(call) if task.arguments["image_id"] == image.id]
    if not await call.is_admin():
        project = (await call.credentials()).get("project_id")
        tasks = [task for task in tasks if task.arguments["owner"] == project]
    return answer({"tasks": [_view(task) for task in tasks]})


async def list_tasks(call: Call) -> Response:
    await call.allow("tasks_api_access")
    query = call.query
    if query.get("status", "pending") not in STATUSES:
        raise InvalidError(f"Invalid status value: {query['status']}")
    if query.get("sort_dir", "desc") not in ("asc", "desc"):
        raise InvalidError(f"Invalid sort direction: {query['sort_dir']}")
    asked = query.get("limit", str(LIMIT_DEFAULT))
    if not asked.isascii() or not asked.isdecimal() or len(asked) > 9:
        raise InvalidError("limit param must be an integer")
    limit = min(int(asked), LIMIT_MAX)
    rows = [_view(task) for task in await _imports(call)]
    rows = [
        row
        for row in rows
        if all(row.get(name) == query[name] for name in ("status", "type", "owner") if name in query)
    ]
    rows.sort(key=lambda row: (row["created_at"], row["id"]), reverse=query.get("sort_dir", "desc") == "desc")
    if "marker" in query:
        ids = [row["id"] for row in rows]
        if query["marker"] not in ids:
            raise InvalidError("Invalid marker format")
        rows = rows[ids.index(query["marker"]) + 1 :]
    kept = [(name, value) for name, value in query.multi_items() if name != "marker"]
    body: Row = {
        "tasks": [
            {name: row[name] for name in row if name not in ("input", "result", "message")} for row in rows[:limit]
        ],
        "first": f"/v2/tasks?{urlencode(kept)}" if kept else "/v2/tasks",
        "schema": "/v2/schemas/tasks",
    }
    if rows[:limit] and len(rows) > limit:
        body["next"] = f"/v2/tasks?{urlencode([*kept, ('marker', rows[limit - 1]['id'])])}"
    return answer(body)


async def create_task(call: Call) -> Response:
    """The older way to import: an image that is fetched from a URL. Its image is made at once."""
    await call.allow("tasks_api_access")
    body = await object_body(call)
    for name in ("type", "input"):
        if name not in body:
            raise InvalidError(f"Task '{name}' is required")
    said = body["input"]
    if body["type"] != "import" or not isinstance(said, dict):
        raise InvalidError("Task 'type' is import, and its 'input' an object.")
    uri = await call.service.web.look(said.get("import_from"))
    properties = said.get("image_properties")
    if not isinstance(properties, dict):
        raise InvalidError("Task 'input' has to have 'image_properties', an object.")
    image = await made_image(call, properties)
    method = {"name": WEB_DOWNLOAD, "uri": uri}
    arguments = {**await described(call, image, {"method": method}, call.service.bits.stores[:1]), "type": "import"}
    task = await started(call, await call.service.images.find(image.id), arguments)
    response = answer(_view(task), 201)
    response.headers["Location"] = f"/v2/tasks/{task.id}"
    return response


async def show_task(call: Call) -> Response:
    await call.allow("tasks_api_access")
    for task in await _imports(call):
        if task.id == call.path("task_id"):
            return answer(_view(task))
    raise NotFoundError(f"No task found with ID {call.path('task_id')}")


ROUTES: Final[Routes[Call]] = {
    "/v2/images/{image_id}/tasks": {"GET": list_of_image},
    "/v2/tasks": {"GET": list_tasks, "POST": create_task},
    "/v2/tasks/{task_id}": {"GET": show_task},
}


async def _imports(call: Call) -> list[Task]:
    return [task for task in await call.service.tasks.every() if task.kind in (IMPORT, LOCATION)]


def _view(task: Task) -> Row:
    arguments = task.arguments
    ended = task.state is not State.RUNNING
    wanted = {name: arguments[name] for name in ("image_id", "import_req", "backend")}
    if task.kind == LOCATION:
        request = arguments["import_req"]
        validation = request["validation_data"]
        wanted = {"image_id": arguments["image_id"], "loc_url": request["method"]["uri"], "validation_data": validation}
    return {
        "id": task.id,
        "type": arguments.get("type", task.kind),
        "status": _STATUS[task.state],
        "input": wanted,
        "result": {"image_id": arguments["image_id"]} if task.state is State.FINISHED else None,
        "message": task.message,
        "owner": arguments["owner"],
        "user_id": arguments["user_id"],
        "request_id": arguments["request_id"],
        "image_id": arguments["image_id"],
        "created_at": time_view(task.begun_us),
        "updated_at": time_view(task.changed_us),
        "expires_at": time_view(task.changed_us + KEPT_S * 1_000_000) if ended else None,
        "self": f"/v2/tasks/{task.id}",
        "schema": "/v2/schemas/task",
    }
