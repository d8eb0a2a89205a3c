"""`/v3/users/{user_id}/credentials/OS-EC2`: EC2 credentials whose access key and secret are made here."""

from __future__ import annotations

import json
from typing import Final

from starlette.responses import Response

from authn import ec2
from authn.records import new_id
from authn.records.credentials import CREDENTIAL, Credential
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.delegation import delegation, reaches, require_reach, require_unrestricted, require_within
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.listing import Row
from store.core.errors import NotFoundError


async def list_credentials(call: Call) -> Response:
    """A user's own."""
    user_id = call.path("user_id")
    await call.allow("identity:ec2_list_credentials", {"user_id": user_id})
    held = await call.caller()
    call.snapshot.users.require(user_id)
    mine = sorted(
        (one for one in call.snapshot.credentials if one.user_id == user_id and one.type == ec2.EC2),
        key=lambda one: one.id,
    )
    return listed(call, "credentials", [_row(call, one) for one in mine if reaches(held, one, call.service.vault)])


async def create_credential(call: Call) -> Response:
    """One for a project. A delegated token's is good for what the token is, and no more."""
    user_id = call.path("user_id")
    held = await call.caller()
    await call.allow("identity:ec2_create_credential", {"target.credential.user_id": user_id})
    require_unrestricted(held)
    call.snapshot.users.require(user_id)
    project_id = (await call.body()).text_or("tenant_id", "")
    call.snapshot.projects.require(project_id)
    require_within(held, project_id, ec2.EC2)
    random = call.service.random
    blob = {"access": new_id(random), "secret": random.bytes(16).hex(), "trust_id": None, **delegation(held)}
    record = Credential(
        id=ec2.id_of(str(blob["access"])),
        user_id=user_id,
        type=ec2.EC2,
        sealed=call.service.vault.seal(json.dumps(blob).encode()),
        project_id=project_id,
    )
    await call.service.administration.create(CREDENTIAL, lambda snapshot: snapshot.credentials, record)
    return answer({"credential": _row(call, record)}, 201)


async def show_credential(call: Call) -> Response:
    """One, with its secret."""
    return answer({"credential": _row(call, await _allowed(call, "ec2_get_credential"))})


async def delete_credential(call: Call) -> Response:
    """What is signed with it is worth nothing from now on."""
    record = await _allowed(call, "ec2_delete_credential")
    await call.service.administration.delete(CREDENTIAL, lambda snapshot: snapshot.credentials, record.id)
    return nothing()


ROUTES: Final[Routes[Call]] = {
    "/v3/users/{user_id}/credentials/OS-EC2": {"GET": list_credentials, "POST": create_credential},
    "/v3/users/{user_id}/credentials/OS-EC2/{access}": {"GET": show_credential, "DELETE": delete_credential},
}


async def _allowed(call: Call, operation: str) -> Credential:
    """The credential that the path names, for whoever may. Raises NotFoundError, ForbiddenError."""
    held = await call.caller()
    id_ = ec2.id_of(call.path("access"))
    record = call.snapshot.credentials.get(id_)
    if record is None or record.type != ec2.EC2:
        # To anybody, as in stock keystone: nobody guesses an access key.
        raise NotFoundError(f"Could not find credential: {id_}.")
    # Whose it is counts, not whose the path says it is.
    await call.allow(f"identity:{operation}", {"target.credential.user_id": record.user_id})
    require_reach(held, record, call.service.vault)
    return record


def _row(call: Call, record: Credential) -> Row:
    held = ec2.read(call.service.vault.open(record.sealed).decode())
    return {
        "user_id": record.user_id,
        "tenant_id": record.project_id,
        "access": held.access,
        "secret": held.secret,
        "trust_id": held.trust_id or None,
        "links": {"self": f"{call.base}/users/{record.user_id}/credentials/OS-EC2/{held.access}"},
    }
