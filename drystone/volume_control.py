"""What the serving process answers `drystone volume`, over its control socket: paths below `/volumes`, JSON both ways.

    GET    /volumes?after=NAME&limit=N    rows of volumes, in the order of their names
    POST   /volumes                       {"name", "size", "policy", "window_us"}: make one
    GET    /volumes/NAME                  its row
    POST   /volumes/NAME/size             {"size"}: have it larger
    POST   /volumes/NAME/name             {"name"}: give it another name
    DELETE /volumes/NAME?force=1          delete it; with keep_us=N it is in the trash for so many microseconds: {"id"}
    POST   /volumes/NAME/flush            have durable what was written: {"epoch"} that it is open under
    POST   /volumes/NAME/take-over        open it here: {"node", "since_us"}, of who had it; "" is nobody
    GET    /volumes/NAME/snapshots        rows of its snapshots, in the order of their names
    POST   /volumes/NAME/snapshots        {"name", "time_us" or null}: make one, of now or of that time
    POST   /volumes/NAME/rewind           {"time_us"}: have it be what it was
    DELETE /volumes/NAME/snapshots/OTHER  delete one
    POST   /volumes/NAME/clones           {"snapshot", "name", "size" or null}: make a volume of one
    POST   /volumes/NAME/flatten          have it need nothing of what it is a clone of
    GET    /trash                         rows of the volumes in the trash
    POST   /trash/ID                      {"name"}: bring one back, under this name or, empty, its own: {"name"}
    DELETE /trash/ID                      remove one for good
    GET    /nbd-port                      {"port"}: where other machines connect; null: nowhere
    POST   /close-volumes                 close all, and open none any more: the process is to end

With `take_over=1`, what needs a volume that another node has open takes it over from there; without, that is refused.
Sizes are bytes. Errors are 400, 404, 409 and 503, with their reason as text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from drystone.control import told
from drystone.volumes import Volumes
from store.core.errors import InvalidError

PAGE_MAX = 1000


def volume_routes(volumes: Volumes, nbd_port: int | None) -> Sequence[Route]:
    """For `control_app`. `nbd_port` is where volumes are served to other machines."""

    async def rows(request: Request) -> Response:
        limit = min(int(request.query_params.get("limit", PAGE_MAX)), PAGE_MAX)
        found = await volumes.rows(request.query_params.get("after", ""), limit)
        return JSONResponse([row._asdict() for row in found])

    async def create(request: Request) -> Response:
        wanted = await _body(request)
        await volumes.create(str(wanted["name"]), int(wanted["size"]), str(wanted["policy"]), int(wanted["window_us"]))
        return JSONResponse({})

    async def show(request: Request) -> Response:
        return JSONResponse((await volumes.row(request.path_params["name"]))._asdict())

    async def resize(request: Request) -> Response:
        await volumes.resize(request.path_params["name"], int((await _body(request))["size"]))
        return JSONResponse({})

    async def delete(request: Request) -> Response:
        keep_us = int(request.query_params.get("keep_us", 0))
        volume = await volumes.delete(
            request.path_params["name"],
            force="force" in request.query_params,
            take_over=_takes_over(request),
            keep_us=keep_us,
        )
        return JSONResponse({"id": volume.hex()})

    async def flush(request: Request) -> Response:
        return JSONResponse({"epoch": await volumes.flush(request.path_params["name"])})

    async def trash(_: Request) -> Response:
        return JSONResponse([row._asdict() for row in await volumes.trash()])

    async def restore(request: Request) -> Response:
        name = await volumes.restore(_id(request), str((await _body(request))["name"]))
        return JSONResponse({"name": name})

    async def purge(request: Request) -> Response:
        await volumes.purge(_id(request))
        return JSONResponse({})

    async def rename(request: Request) -> Response:
        await volumes.rename(request.path_params["name"], str((await _body(request))["name"]))
        return JSONResponse({})

    async def snapshots(request: Request) -> Response:
        return JSONResponse([row._asdict() for row in await volumes.snapshots(request.path_params["name"])])

    async def snapshot(request: Request) -> Response:
        wanted = await _body(request)
        time_us = None if wanted["time_us"] is None else int(wanted["time_us"])
        await volumes.snapshot(
            request.path_params["name"], str(wanted["name"]), time_us, take_over=_takes_over(request)
        )
        return JSONResponse({})

    async def rewind(request: Request) -> Response:
        time_us = int((await _body(request))["time_us"])
        name = request.path_params["name"]
        snapshot, before = await volumes.rewind(name, time_us, take_over=_takes_over(request))
        return JSONResponse({"snapshot": snapshot, "before": before})

    async def delete_snapshot(request: Request) -> Response:
        await volumes.delete_snapshot(request.path_params["name"], request.path_params["snapshot"])
        return JSONResponse({})

    async def clone(request: Request) -> Response:
        wanted = await _body(request)
        size = None if wanted["size"] is None else int(wanted["size"])
        await volumes.clone(request.path_params["name"], str(wanted["snapshot"]), str(wanted["name"]), size)
        return JSONResponse({})

    async def flatten(request: Request) -> Response:
        await volumes.flatten(request.path_params["name"], take_over=_takes_over(request))
        return JSONResponse({})

    async def take_over(request: Request) -> Response:
        return JSONResponse((await volumes.take_over(request.path_params["name"]))._asdict())

    async def port(_: Request) -> Response:
        return JSONResponse({"port": nbd_port})

    async def close(_: Request) -> Response:
        await volumes.close()
        return JSONResponse({})

    return [
        Route("/close-volumes", close, methods=["POST"]),
        Route("/nbd-port", port, methods=["GET"]),
        Route("/volumes", told(rows), methods=["GET"]),
        Route("/volumes", told(create), methods=["POST"]),
        Route("/volumes/{name}", told(show), methods=["GET"]),
        Route("/volumes/{name}", told(delete), methods=["DELETE"]),
        Route("/volumes/{name}/flush", told(flush), methods=["POST"]),
        Route("/volumes/{name}/size", told(resize), methods=["POST"]),
        Route("/volumes/{name}/name", told(rename), methods=["POST"]),
        Route("/volumes/{name}/snapshots", told(snapshots), methods=["GET"]),
        Route("/volumes/{name}/snapshots", told(snapshot), methods=["POST"]),
        Route("/volumes/{name}/snapshots/{snapshot}", told(delete_snapshot), methods=["DELETE"]),
        Route("/volumes/{name}/rewind", told(rewind), methods=["POST"]),
        Route("/volumes/{name}/clones", told(clone), methods=["POST"]),
        Route("/volumes/{name}/flatten", told(flatten), methods=["POST"]),
        Route("/volumes/{name}/take-over", told(take_over), methods=["POST"]),
        Route("/trash", told(trash), methods=["GET"]),
        Route("/trash/{id}", told(restore), methods=["POST"]),
        Route("/trash/{id}", told(purge), methods=["DELETE"]),
    ]


def _takes_over(request: Request) -> bool:
    return "take_over" in request.query_params


def _id(request: Request) -> bytes:
    said: str = request.path_params["id"]
    try:
        return bytes.fromhex(said)
    except ValueError as error:
        raise InvalidError(f"{said!r} is no id of a volume") from error


async def _body(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await request.body())
    return found
