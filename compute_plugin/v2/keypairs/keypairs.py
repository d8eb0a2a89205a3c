"""Key pairs: list, show, create, import and delete. They are a user's, in whatever project."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import trio
from starlette.responses import Response

from compute_plugin.records.amounts import NO_LIMIT
from compute_plugin.records.keypair import KeyPair, keypair_id
from compute_plugin.records.records import Records
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.listing import PAGING, Page, asked, know, paged
from compute_plugin.v2.frame.reading import body_of, named, one_of, text, wrong
from compute_plugin.v2.frame.times import time_of
from compute_plugin.v2.keypairs.making import SSH, TYPES, fingerprint, made
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.errors import OverLimitError
from gateway.rest.fields import Fields
from store.core.errors import ConflictError, NotFoundError

PATH: Final = "os-keypairs"
POLICY: Final = "os_compute_api:os-keypairs:"
TYPED: Final = 2
OF_OTHERS: Final = 10
"""From this microversion on administrators may name another user."""
PAGED: Final = 35
IMPORT_ONLY: Final = 92
"""From this microversion on nobody's private key is made here, and names may have more characters."""
KEY_MAX: Final = 64 * 1024

_NAME: Final = re.compile(r"[_\- a-zA-Z0-9]+")
_LATER_NAME: Final = re.compile(r"[_\-@. a-zA-Z0-9]+")


async def list_keypairs(call: Call) -> Response:
    user = await _of_user(call, "index", *PAGING)
    held = sorted((await call.records()).keypairs.by("user", user), key=lambda one: one.name)
    page = paged(call, held, lambda one: one.name, PATH) if call.since(PAGED) else Page(held, None)
    return answer(page.document("keypairs", [{"keypair": _brief(call, one)} for one in page.rows]))


async def show_keypair(call: Call) -> Response:
    user = await _of_user(call, "show")
    found = _find(await call.records(), user, call.path("name"))
    return answer({"keypair": _whole(call, found)})


async def create_keypair(call: Call) -> Response:
    """Or take one that the user has: then only its public key is sent."""
    later = call.since(IMPORT_ONLY)
    optional = ["public_key"]
    optional += ["type"] if call.since(TYPED) else []
    optional += ["user_id"] if call.since(OF_OTHERS) else []
    fields = await body_of(call, "keypair", ("name", "public_key") if later else ("name",), optional)
    user = text(fields, "user_id") if fields.value("user_id") else await call.user()
    await call.allow(f"{POLICY}create", {"user_id": user})
    name, type_ = _name(call, fields), one_of(fields, "type", TYPES) if "type" in fields else SSH
    project = await call.project()
    now_us = call.service.clock.wall_us()
    draft = KeyPair(
        id=keypair_id(user, name), number=0, user_id=user, name=name, type=type_,
        public_key="", fingerprint="", created_us=now_us,
    )  # fmt: skip
    _require_place(call, await call.records(), draft, project)  # before a key is made, which takes a while
    private_key = None
    if "public_key" in fields:
        public_key = text(fields, "public_key", KEY_MAX, least=0)
    else:
        now = datetime.fromtimestamp(now_us // 1_000_000, UTC)
        private_key, public_key = await trio.to_thread.run_sync(made, type_, user, now)
    draft = replace(draft, public_key=public_key, fingerprint=fingerprint(type_, public_key))

    def step(records: Records) -> KeyPair:
        _require_place(call, records, draft, project)
        pair = replace(draft, number=records.next_number("keypair"))
        records.keypairs.put(pair)
        return pair

    pair = await call.service.store.change(step)
    shown = _brief(call, pair) | {"user_id": user}
    if private_key is not None:
        shown["private_key"] = private_key
    return answer({"keypair": shown}, 201 if call.since(TYPED) else 200)


async def delete_keypair(call: Call) -> Response:
    user = await _of_user(call, "delete")

    def step(records: Records) -> None:
        records.keypairs.delete(_find(records, user, call.path("name")).id)

    await call.service.store.change(step)
    return Response(status_code=204 if call.since(TYPED) else 202)


async def _of_user(call: Call, operation: str, *known: str) -> str:
    """Whose key pairs are meant. Raises ForbiddenError where they are none of the caller's business."""
    know(call, "user_id", *known)
    named_user = asked(call, "user_id") if call.since(OF_OTHERS) else None
    user = named_user or await call.user()
    await call.allow(f"{POLICY}{operation}", {"user_id": user})
    return user


def _find(records: Records, user: str, name: str) -> KeyPair:
    found = records.keypairs.get(keypair_id(user, name))
    if found is None:
        raise NotFoundError(f"Keypair {name[:255]} not found for user {user}")
    return found


def _name(call: Call, fields: Fields) -> str:
    name = named(fields)
    if not (_LATER_NAME if call.since(IMPORT_ONLY) else _NAME).fullmatch(name):
        signs = "_-@. and blanks within" if call.since(IMPORT_ONLY) else "_- and blanks within"
        raise wrong("name", f"1 to 255 of a-z, A-Z, 0-9, {signs}")
    return name


def _require_place(call: Call, records: Records, pair: KeyPair, project: str) -> None:
    limit = call.service.settings.limits_of(records, project)["key_pairs"]
    if limit != NO_LIMIT and len(records.keypairs.by("user", pair.user_id)) >= limit:
        raise OverLimitError("Quota exceeded, too many key pairs.")
    if records.keypairs.get(pair.id) is not None:
        raise ConflictError(f"Key pair '{pair.name}' already exists.")


def _brief(call: Call, pair: KeyPair) -> dict[str, Any]:
    shown = {"name": pair.name, "public_key": pair.public_key, "fingerprint": pair.fingerprint}
    return shown | {"type": pair.type} if call.since(TYPED) else shown


def _whole(call: Call, pair: KeyPair) -> dict[str, Any]:
    return _brief(call, pair) | {
        "user_id": pair.user_id,
        "id": pair.number,
        "created_at": time_of(pair.created_us),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }


ROUTES: Final[Routes[Call]] = {
    f"/{PATH}": {"GET": list_keypairs, "POST": create_keypair},
    f"/{PATH}/{{name}}": {"GET": show_keypair, "DELETE": delete_keypair},
}
