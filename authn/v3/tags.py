"""Tags of projects: what may be one, filters by them, and `/v3/projects/{id}/tags`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from authn.records import Project
from authn.v3.call import Call
from authn.v3.options import refuse_immutable
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.listing import Filter, Row
from store.core.errors import InvalidError, NotFoundError

TAGS_MAX: Final = 80
TAG_CHARACTERS_MAX: Final = 255


def read_tags(asked: Fields) -> tuple[str, ...]:
    """The tags of a body, in their order, each once. Raises InvalidError."""
    found = tuple(dict.fromkeys(asked.texts("tags")))
    if len(found) != len(asked.texts("tags")):
        raise InvalidError("tags: a tag is there once")
    if len(found) > TAGS_MAX:
        raise InvalidError(f"tags: at most {TAGS_MAX}")
    for tag in found:
        _check(tag)
    return found


def _check(tag: str) -> None:
    if not 1 <= len(tag) <= TAG_CHARACTERS_MAX or set(tag) & set(",/") or not tag.isprintable():
        raise InvalidError(f"tags: 1 to {TAG_CHARACTERS_MAX} printable characters, no comma and no slash")


def _wanted(asked: str) -> set[str]:
    return {tag for tag in asked.split(",") if tag}


def _has_all(row: Row, asked: str) -> bool:
    return _wanted(asked) <= set(row["tags"])


def _has_any(row: Row, asked: str) -> bool:
    return bool(_wanted(asked) & set(row["tags"]))


TAG_FILTERS: Final[Mapping[str, Filter]] = {
    "tags": _has_all,
    "tags-any": _has_any,
    "not-tags": lambda row, asked: not _has_all(row, asked),
    "not-tags-any": lambda row, asked: not _has_any(row, asked),
}
"""As OpenStack's API working group has them ("Tags", filtering)."""


async def list_tags(call: Call) -> Response:
    """All tags of a project."""
    return answer({"tags": list((await _project(call, "list_project_tags")).tags), "links": _links(call)})


async def set_tags(call: Call) -> Response:
    """These tags and no others."""
    await _project(call, "update_project_tags")
    tags = read_tags(await call.body())
    project = await _change(call, lambda _: tags)
    return answer({"tags": list(project.tags), "links": _links(call)})


async def clear_tags(call: Call) -> Response:
    """No tags."""
    await _project(call, "delete_project_tags")
    await _change(call, lambda _: ())
    return nothing()


async def has_tag(call: Call) -> Response:
    """204 or 404."""
    _require(await _project(call, "get_project_tag"), call.path("tag"))
    return nothing()


async def add_tag(call: Call) -> Response:
    """One more tag."""
    await _project(call, "create_project_tag")
    tag = call.path("tag")
    _check(tag)

    def with_it(before: tuple[str, ...]) -> tuple[str, ...]:
        after = tuple(dict.fromkeys((*before, tag)))
        if len(after) > TAGS_MAX:
            raise InvalidError(f"tags: at most {TAGS_MAX}")
        return after

    await _change(call, with_it)
    response = Response(status_code=201)
    response.headers["Location"] = f"{call.base}/projects/{call.path('id')}/tags/{quote(tag, safe='')}"
    return response


async def remove_tag(call: Call) -> Response:
    """One tag less."""
    _require(await _project(call, "delete_project_tag"), call.path("tag"))
    await _change(call, lambda before: tuple(tag for tag in before if tag != call.path("tag")))
    return nothing()


ROUTES: Final[Routes[Call]] = {
    "/v3/projects/{id}/tags": {"GET": list_tags, "PUT": set_tags, "DELETE": clear_tags},
    "/v3/projects/{id}/tags/{tag}": {"GET": has_tag, "PUT": add_tag, "DELETE": remove_tag},
}


async def _project(call: Call, operation: str) -> Project:
    project = call.snapshot.projects.get(call.path("id"))
    known = {"target.project.id": project.id, "target.project.domain_id": project.domain_id} if project else {}
    await call.allow(f"identity:{operation}", known)
    return call.snapshot.projects.require(call.path("id"))


async def _change(call: Call, tags: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Project:
    def edit(before: Project) -> Project:
        refuse_immutable("project", before.options)
        return replace(before, tags=tags(before.tags))

    return await call.service.administration.update_project(call.path("id"), edit)


def _require(project: Project, tag: str) -> None:
    if tag not in project.tags:
        raise NotFoundError(f"Could not find project tag: {tag}.")


def _links(call: Call) -> dict[str, str | None]:
    return {"next": None, "self": f"{call.base}/projects/{call.path('id')}/tags", "previous": None}
