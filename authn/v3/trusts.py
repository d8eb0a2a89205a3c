"""`/v3/OS-TRUST/trusts`: a user lets another act with some of their roles in a project."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from authn import keys
from authn.keys import PROJECT_TARGET
from authn.records.credentials import TRUST, Trust
from authn.rights import UNSCOPED, Rights, Scope
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.tokens import Held, Proof
from authn.trusts import REDELEGATIONS_MAX, made_from, pedigree
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.elsewhere import vouched
from authn.v3.roles import role_row
from gateway.rest import times
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError, UnauthorizedError
from gateway.rest.fields import Fields, merged
from gateway.rest.listing import Row, page
from store.core.errors import InvalidError, NotFoundError

_KNOWN: Final = frozenset(
    {
        "id",
        "impersonation",
        "trustor_user_id",
        "trustee_user_id",
        "project_id",
        "roles",
        "expires_at",
        "remaining_uses",
        "allow_redelegation",
        "redelegation_count",
        "redelegated_trust_id",
        "deleted_at",
        "links",
        "roles_links",
    }
)
_FILTERS: Final = ("trustor_user_id", "trustee_user_id", "project_id")
_USES_MAX: Final = 2**31 - 1


async def list_trusts(call: Call) -> Response:
    """All, or those of a trustor or a trustee."""
    trustor, trustee = call.query.get("trustor_user_id"), call.query.get("trustee_user_id")
    if trustor:
        await call.allow("identity:list_trusts_for_trustor", {"target.trust.trustor_user_id": trustor})
    elif trustee:
        await call.allow("identity:list_trusts_for_trustee", {"target.trust.trustee_user_id": trustee})
    else:
        await call.allow("identity:list_trusts")
    await _whole_caller(call)
    return listed(call, "trusts", page(call, (_row(call, trust) for trust in call.snapshot.trusts), _FILTERS))


async def create_trust(call: Call) -> Response:
    """A new trust of the caller."""
    held = await _whole_caller(call)
    asked = (await call.body()).object("trust")
    trustor = asked.text("trustor_user_id")
    await call.allow("identity:create_trust", {"target.trust.trustor_user_id": trustor})
    if held.user.id != trustor:
        raise ForbiddenError("a trust is made by its trustor")
    trust = _asked_trust(call, asked, held)
    await call.service.administration.create(TRUST, _table, trust)
    return answer({"trust": _whole_row(call, trust)}, 201)


async def show_trust(call: Call) -> Response:
    """One trust."""
    return answer({"trust": _whole_row(call, await _trust(call, "get_trust"))})


async def delete_trust(call: Call) -> Response:
    """It is no more, nor are those that were made from it; so their tokens end."""
    trust = await _trust(call, "delete_trust")
    along = [keys.record(TRUST, one.id) for one in made_from(call.snapshot, trust.id)]
    await call.service.administration.delete(TRUST, _table, trust.id, along)
    return nothing()


async def list_roles(call: Call) -> Response:
    """What the trustee may act as."""
    trust = await _trust(call, "list_roles_for_trust")
    rows = _roles(call, trust)
    return answer({"roles": rows, "links": _roles_links(call, trust)})


async def show_role(call: Call) -> Response:
    """One of these."""
    trust = await _trust(call, "get_role_for_trust")
    role_id = call.path("role_id")
    if role_id not in trust.role_ids:
        raise NotFoundError(f"Could not find role: {role_id}.")
    return answer({"role": role_row(call, call.snapshot.roles.require(role_id))})


ROUTES: Final[Routes[Call]] = {
    "/v3/OS-TRUST/trusts": {"GET": list_trusts, "POST": create_trust},
    "/v3/OS-TRUST/trusts/{id}": {"GET": show_trust, "DELETE": delete_trust},
    "/v3/OS-TRUST/trusts/{id}/roles": {"GET": list_roles},
    "/v3/OS-TRUST/trusts/{id}/roles/{role_id}": {"GET": show_role},
}


async def act_by_trust(call: Call, trust_id: str, proof: Proof) -> tuple[Proof, Scope, int]:
    """What a trustee's token is for, who it stands for, and when it ends at the latest. Takes one of the trust's uses.

    Raises UnauthorizedError, or ForbiddenError for who is not the trustee.
    """
    trust = call.snapshot.trusts.get(trust_id)
    chain = pedigree(call.snapshot, trust) if trust is not None else None
    if trust is None or chain is None:
        raise UnauthorizedError
    if proof.user.id != trust.trustee_user_id or (proof.parent is not None and proof.parent.trust_id):
        raise ForbiddenError("this trust is for somebody else")
    groups = await groups_lent(call, chain)
    trust = await used(call, trust)
    user = call.snapshot.users.get(trust.trustor_user_id if trust.impersonation else trust.trustee_user_id)
    if user is None:
        raise UnauthorizedError
    scope = Scope(PROJECT_TARGET, trust.project_id) if trust.project_id else UNSCOPED
    return replace(proof, user=user, trust=trust, directory_groups=groups), scope, trust.expires_s


async def used(call: Call, trust: Trust) -> Trust:
    """The trust after one more use. Raises UnauthorizedError where there is none left."""
    if trust.remaining_uses < 0:
        return trust

    def use(before: Trust) -> Trust:
        if before.remaining_uses == 0:
            raise UnauthorizedError
        return replace(before, remaining_uses=before.remaining_uses - 1)

    return await call.service.administration.update(TRUST, _table, trust.id, use)


async def groups_lent(call: Call, chain: Sequence[Trust]) -> tuple[str, ...]:
    """The directory's groups of whoever gives their roles by a trust, the last of its chain. Raises UnauthorizedError
    where a directory lets a trustor in no more, RetryableError where it is away."""
    groups: tuple[str, ...] = ()
    for trust in chain:
        trustor = call.snapshot.users.get(trust.trustor_user_id)
        if trustor is None:
            raise UnauthorizedError
        groups = await vouched(call, trustor)
    return groups


def _table(snapshot: IdentitySnapshot) -> Table[Trust]:
    return snapshot.trusts


async def _whole_caller(call: Call) -> Held:
    """The caller, unless they act by an application credential: it would reach beyond its project by a trust."""
    held = await call.caller()
    if held.token.application_credential_id:
        raise ForbiddenError("an application credential manages no trusts")
    return held


async def _trust(call: Call, operation: str) -> Trust:
    await call.caller()
    trust = call.snapshot.trusts.require(call.path("id"))
    known = {
        "target.trust.trustor_user_id": trust.trustor_user_id,
        "target.trust.trustee_user_id": trust.trustee_user_id,
    }
    await call.allow(f"identity:{operation}", known)
    await _whole_caller(call)
    return trust


def _asked_trust(call: Call, asked: Fields, held: Held) -> Trust:
    if asked.value("impersonation") is None:
        raise InvalidError("trust: 'impersonation' is a required property")
    project_id = asked.text_or("project_id", "")
    if project_id and not asked.value("roles"):
        raise ForbiddenError("a trust is of at least one role")
    trustee = call.snapshot.users.require(asked.text("trustee_user_id"))
    parent = _parent(call, held)
    origin = pedigree(call.snapshot, parent)[-1] if parent else None  # type: ignore[index]  # which is whole: it was used
    role_ids = _asked_roles(call, asked)
    if project_id:
        call.snapshot.projects.require(project_id)
        trustor_id = origin.trustor_user_id if origin else held.user.id
        has = {
            role.id
            for role in Rights(call.snapshot).roles(
                trustor_id, Scope(PROJECT_TARGET, project_id), held.token.directory_groups
            )
        }
        for role_id in role_ids:
            if role_id not in has:
                raise NotFoundError(f"Could not find role: {role_id}.")
    expires_s = _expires(call, asked)
    redelegates = asked.flag_or("allow_redelegation", False)
    uses = asked.number("remaining_uses", 1, _USES_MAX) if asked.value("remaining_uses") is not None else -1
    count = 0
    if redelegates:
        if uses >= 0:
            raise InvalidError("trust.remaining_uses: not with allow_redelegation")
        count = REDELEGATIONS_MAX if parent is None else parent.redelegation_count - 1
        if asked.value("redelegation_count") is not None:
            wanted = asked.number("redelegation_count", 0, _USES_MAX)
            if wanted > count:
                raise ForbiddenError(f"a trust is handed on {count} times at most")
            count = wanted
    trust = Trust(
        call.service.administration.new_id(),
        held.user.id,
        trustee.id,
        project_id,
        role_ids,
        asked.flag_or("impersonation", False),
        expires_s,
        uses,
        redelegates,
        count,
        parent.id if parent else "",
        merged("{}", asked.others(_KNOWN)),
    )
    return trust if parent is None else _within(trust, parent)


def _parent(call: Call, held: Held) -> Trust | None:
    """The trust that the caller acts by and hands on. Raises ForbiddenError for other delegations."""
    token = held.token
    if not token.is_lent:
        return None
    if not token.trust_id or "ec2credential" in token.methods:
        raise ForbiddenError("only a trust can be handed on")
    parent = call.snapshot.trusts.require(held.token.trust_id)
    if not 0 < parent.redelegation_count <= REDELEGATIONS_MAX:
        raise ForbiddenError("this trust cannot be handed on")
    return parent


def _within(trust: Trust, parent: Trust) -> Trust:
    """The trust, where its parent allows as much. Raises ForbiddenError."""
    if trust.project_id != parent.project_id:
        # The first trustor may hold the same roles elsewhere, too, but has lent them in that project only.
        raise ForbiddenError("the trust that is handed on is for another project")
    if trust.remaining_uses >= 0:
        raise ForbiddenError("remaining_uses cannot be set where a trust is handed on")
    if not set(trust.role_ids) <= set(parent.role_ids):
        raise ForbiddenError("some of these roles are not in the trust that is handed on")
    if trust.impersonation and not parent.impersonation:
        raise ForbiddenError("the trust that is handed on does not allow impersonation")
    if parent.expires_s and not trust.expires_s:
        return replace(trust, expires_s=parent.expires_s)
    if parent.expires_s and trust.expires_s > parent.expires_s:
        raise ForbiddenError("the trust that is handed on ends earlier")
    return trust


def _asked_roles(call: Call, asked: Fields) -> tuple[str, ...]:
    found = []
    for role in asked.objects("roles") if asked.value("roles") is not None else ():
        if "id" in role:
            found.append(call.snapshot.roles.require(role.text("id")).id)
            continue
        named = call.snapshot.roles.named(("", role.text("name").casefold()))
        if named is None:
            raise NotFoundError(f"Could not find role: {role.text('name')}.")
        found.append(named.id)
    return tuple(dict.fromkeys(found))


def _expires(call: Call, asked: Fields) -> int:
    if asked.value("expires_at") is None:
        return 0
    expires_s = times.read("trust.expires_at", asked.text("expires_at"))
    if expires_s * 1_000_000 <= call.service.clock.wall_us():
        raise InvalidError("trust.expires_at: this is over")
    return expires_s


def _row(call: Call, trust: Trust) -> Row:
    return {
        **json.loads(trust.extra),
        "id": trust.id,
        "impersonation": trust.impersonation,
        "trustor_user_id": trust.trustor_user_id,
        "trustee_user_id": trust.trustee_user_id,
        "project_id": trust.project_id or None,
        "expires_at": times.shown(trust.expires_s) if trust.expires_s else None,
        "remaining_uses": trust.remaining_uses if trust.remaining_uses >= 0 else None,
        "redelegation_count": trust.redelegation_count,
        "redelegated_trust_id": trust.redelegated_trust_id or None,
        "deleted_at": None,
        "links": {"self": f"{call.base}/OS-TRUST/trusts/{trust.id}"},
    }


def _whole_row(call: Call, trust: Trust) -> Row:
    return {**_row(call, trust), "roles": _roles(call, trust), "roles_links": _roles_links(call, trust)}


def _roles(call: Call, trust: Trust) -> list[Row]:
    found = (call.snapshot.roles.get(id_) for id_ in trust.role_ids)
    return [role_row(call, role) for role in found if role is not None]


def _roles_links(call: Call, trust: Trust) -> dict[str, Any]:
    return {"self": f"{call.base}/OS-TRUST/trusts/{trust.id}/roles", "next": None, "previous": None}
