"""`/v2/images/{image_id}/members`: whom an image is shared with, and what they say to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError, TooLargeError
from image_registry.attributes import MEMBERS_MAX
from image_registry.errors import AttributeForbiddenError
from image_registry.images import Found
from image_registry.records import Image, Member, MemberStatus, Visibility
from image_registry.v2.body import json_body
from image_registry.v2.call import Call
from image_registry.v2.view import member_view
from store.core.errors import ConflictError, InvalidError, NotFoundError

PROJECT_CHARACTERS_MAX: Final = 255


async def list_members(call: Call) -> Response:
    """All, to the owner; itself, to a member."""
    image = (await _shared(call)).image
    await call.require(image, "get_members")
    rows = [member_view(image, member) for member in image.members if await _sees(call, image, member)]
    return answer({"members": rows, "schema": "/v2/schemas/members"})


async def show_member(call: Call) -> Response:
    try:
        image = (await _shared(call)).image
        await call.require(image, "get_member")
        return answer(member_view(image, await _seen(call, image)))
    except (ForbiddenError, AttributeForbiddenError) as error:
        raise _missing(call) from error  # a member is not told who else is one, nor anybody whether there are any


async def add_member(call: Call) -> Response:
    """Who is told of the image, and has yet to accept it."""
    project = await _said(call, "member", "Member to be added not specified")
    if not project or len(project) > PROJECT_CHARACTERS_MAX:
        raise InvalidError("Member can't be empty" if not project else "Member: 255 characters at most")
    found = await _shared(call)
    await call.require(found.image, "add_member")
    now = call.service.clock.wall_us()
    member = Member(project, now, now)

    def added(image: Image) -> Image:
        if any(one.project_id == project for one in image.members):
            raise ConflictError(f"Member {project} is duplicated for image {image.id}")
        if len(image.members) >= MEMBERS_MAX:
            raise TooLargeError(
                f"Image member limit exceeded for image {image.id}: the limit is {MEMBERS_MAX} members."
            )
        return replace(image, members=(*image.members, member))

    image = await call.service.images.change(found.image.id, added)
    return answer(member_view(image, member))


async def answer_member(call: Call) -> Response:
    """The project itself accepts or rejects the image."""
    said = await _said(call, "status", "Status not specified")
    if said not in tuple(MemberStatus):
        raise InvalidError(f"Incorrect request: Status must be one of {', '.join(MemberStatus)}")
    found = await _shared(call)
    before = await _seen(call, found.image)
    await call.require(found.image, "modify_member")
    credentials = await call.credentials()
    if before.project_id != credentials.get("project_id") and not await call.is_admin():
        raise ForbiddenError("modify_member")
    after = replace(before, status=MemberStatus(said), updated_us=call.service.clock.wall_us())

    def answered(image: Image) -> Image:
        if all(one.project_id != after.project_id for one in image.members):
            raise _missing(call)
        members = tuple(after if one.project_id == after.project_id else one for one in image.members)
        return replace(image, members=members)

    return answer(member_view(await call.service.images.change(found.image.id, answered), after))


async def remove_member(call: Call) -> Response:
    found = await _shared(call)
    member = await _seen(call, found.image)
    await call.require(found.image, "delete_member")

    def removed(image: Image) -> Image:
        return replace(image, members=tuple(one for one in image.members if one.project_id != member.project_id))

    await call.service.images.change(found.image.id, removed)
    return nothing()


ROUTES: Final[Routes[Call]] = {
    "/v2/images/{image_id}/members": {"GET": list_members, "POST": add_member},
    "/v2/images/{image_id}/members/{member_id}": {"GET": show_member, "PUT": answer_member, "DELETE": remove_member},
}


async def _shared(call: Call) -> Found:
    """The image of the path. Raises AttributeForbiddenError where it is not one that is shared."""
    found = await call.found()
    if found.image.visibility is not Visibility.SHARED:
        raise AttributeForbiddenError("Only shared images have members.")
    return found


async def _seen(call: Call, image: Image) -> Member:
    """The member of the path. Raises NotFoundError, also where the caller may not know of it."""
    for member in image.members:
        if member.project_id == call.path("member_id") and await _sees(call, image, member):
            return member
    raise _missing(call)


async def _sees(call: Call, image: Image, member: Member) -> bool:
    project = (await call.credentials()).get("project_id")
    return project in (image.owner, member.project_id) or await call.is_admin()


def _missing(call: Call) -> NotFoundError:
    return NotFoundError(f"{call.path('member_id')} not found in the member list of the image {call.path('image_id')}.")


async def _said(call: Call, name: str, otherwise: str) -> str:
    body: Any = await json_body(call)
    if not isinstance(body, dict):
        raise InvalidError(f'Expected {name} in the form: {{"{name}": "{name}"}}')
    found = body.get(name)
    if found is None:
        raise InvalidError(otherwise)
    if not isinstance(found, str):
        raise InvalidError(f"{name}: not of type 'string'")
    return found
