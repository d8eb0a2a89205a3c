"""Every kind of resource, every verb, every caller: who may what with something that is one project's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from compute_plugin.networks.v2.frame.collection import Collection
from compute_plugin.networks.v2.routes import COLLECTIONS, routes
from tests.gateway_volumes.cloud import Held, Tokens
from tests.networks_api.cloud import Cloud
from tests.networks_api.hostile_routes import furnish

RANKS: Final = {"reader@blue": 1, "member@blue": 2, "manager@blue": 3, "admin@ops": 4}
CALLERS: Final = (*RANKS, "member@red", "manager@red", "service", "no")
WRITERS: Final = {"qos": 3, "flavors": 4, "service_profiles": 4, "segments": 4, "default-security-group-rules": 4}
"""From which rank on somebody changes it, where that is not 2."""
READERS: Final = {"service_profiles": 4, "segments": 4}
OF_NOBODY: Final = ("flavors", "service_profiles", "default-security-group-rules", "segments")
"""Projects have none of their own."""
TO_ALL: Final = ("flavors", "default-security-group-rules")
SERVICE_READS: Final = ("networks", "subnets", "ports")
SERVICE_WRITES: Final = ("ports",)
KINDS: Final = {kind.path.removeprefix("/"): kind for kind in COLLECTIONS}


def first(path: str) -> str:
    return path.split("/")[0]


def reads(path: str, caller: str) -> bool:
    if caller == "service":
        return path in SERVICE_READS
    if path in TO_ALL:
        return True
    return RANKS.get(caller, 0) >= READERS.get(first(path), 1)


def writes(path: str, caller: str) -> bool:
    if caller == "service":
        return path in SERVICE_WRITES
    return RANKS.get(caller, 0) >= WRITERS.get(first(path), 2)


def blues(cloud: Cloud, path: str) -> str:
    """The path of one that is blue's, and that can be deleted."""
    kind, records = KINDS[path], cloud.service.store.records
    found: list[Any] = []
    for one in kind.rows(cloud_view(cloud)) if path in OF_NOBODY else kind.table(records):
        if path not in OF_NOBODY and one.project_id != "blue":
            continue
        is_needed: bool = getattr(one, "is_default", False)
        if is_needed or (hasattr(one, "device_owner") and one.device_owner):
            continue
        found.append(one)
    chosen = next(one for one in found if getattr(kind, "belongs", is_any)(one))
    above = getattr(kind, "above_id", is_any)(chosen)
    return f"/{path.format(parent_id=above)}/{chosen.id}"


def is_any(_: Any) -> Any:
    return True


def cloud_view(cloud: Cloud) -> Any:
    class Bare:
        records = cloud.service.store.records

    return Bare()


def expected(path: str, caller: str, *, verb: str) -> set[int]:
    if caller == "no":
        return {401}
    if not reads(path, caller):
        return {404}
    if verb == "read":
        return {200}
    if not writes(path, caller):
        return {403}
    return {200, 409} if verb == "update" else {204, 409, 400}  # it may be in use


async def furnished(cloud: Cloud) -> None:
    """Besides: one of each kind of QoS rule, and a network that is not shared with anybody."""
    await furnish(cloud)
    policy = (await cloud.listed("policies", "/qos/policies"))[0]["id"]
    for name, said in (
        ("dscp_marking", {"dscp_mark": 8}),
        ("minimum_bandwidth", {"min_kbps": 1}),
        ("minimum_packet_rate", {"min_kpps": 1}),
        ("packet_rate_limit", {"max_kpps": 9}),
    ):
        await cloud.create(f"{name}_rule", f"/qos/policies/{policy}/{name}_rules", "manager@blue", **said)


@pytest.mark.parametrize("path", sorted(KINDS))
async def test_who_may_what_with_one(cloud: Cloud, path: str) -> None:
    await furnished(cloud)
    kind: Collection[Any] = KINDS[path]
    one = blues(cloud, path)
    id_, above = one.rsplit("/", 1)[1], one.rsplit("/", 1)[0]
    for caller in CALLERS:
        shown = await cloud.ask("GET", one, token=caller)
        assert shown.status in expected(path, caller, verb="read"), (caller, shown.body)
        listed = await cloud.ask("GET", above, token=caller)
        told = listed.status == 200 and id_ in {row["id"] for row in listed.json[kind.plural]}
        assert told == (shown.status == 200), (caller, listed.body)
        by_id = await cloud.ask("GET", f"{above}?id={id_}&fields=id", token=caller)
        assert (id_.encode() in by_id.body) == told, (caller, by_id.body)
        if kind.changeable:
            changed = await cloud.ask("PUT", one, {kind.singular: {}}, caller)
            assert changed.status in expected(path, caller, verb="update"), (caller, changed.body)
        if kind.tagged:
            tags = await cloud.ask("PUT", f"{one}/tags", {"tags": ["a"]}, caller)
            wanted = {403} if (path, caller) == ("ports", "service") else expected(path, caller, verb="update")
            assert tags.status in wanted, (caller, tags.body)
            seen = (await cloud.ask("GET", f"{one}/tags", token=caller)).status
            assert seen == (403 if (caller, shown.status) == ("service", 200) else shown.status), (caller, seen)
    for caller in ("no", "reader@blue", "member@red", "manager@red", "service", "member@blue", "admin@ops"):
        gone = await cloud.ask("DELETE", one, token=caller)
        assert gone.status in expected(path, caller, verb="delete"), (caller, gone.body)
        if gone.status == 204:
            break


@pytest.mark.parametrize("path", sorted(KINDS))
async def test_who_is_not_asked_for_a_body_before_a_token(cloud: Cloud, path: str) -> None:
    for method in ("GET", "POST"):
        place = f"/{path.format(parent_id='x')}"
        answer = await cloud.ask(method, place, "no object" if method == "POST" else None, "no")
        assert answer.status == 401, (method, answer.body)


async def test_nothing_is_told_or_read_without_a_token(cloud: Cloud) -> None:
    for pattern, handlers in routes().items():
        place = pattern.removeprefix("/v2.0").replace("{", "").replace("}", "")
        for method in handlers:
            answer = await cloud.ask(method, place + "x" * 300, {"a": ["\ud800"]}, "no")
            assert answer.status in (401, 404, 405), (method, place, answer.body)
            answer = await cloud.ask(method, place, None if method == "GET" else [1], "no")
            assert answer.status == 401, (method, place, answer.body)


@pytest.mark.parametrize("scope", [{"domain_id": "default"}, {"system": True}, {}])
async def test_who_is_somebody_elsewhere_is_nobody_here(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, scope: dict[str, Any]
) -> None:
    """An administrator of a domain, or of the system, as with stock; and a token for nothing, which has no roles."""
    await furnished(cloud)
    await cloud.network("admin@ops", **{"router:external": True, "shared": True})
    ids = {path: blues(cloud, path) for path in KINDS}
    read, roles = Tokens.read, frozenset({"admin", "member", "reader"} if scope else ())

    async def elsewhere(self: Tokens, token: str, certificate: str = "", *, expired_s: int = 0) -> Held | None:
        held = await read(self, token, certificate, expired_s=expired_s)
        assert held is not None
        return Held(replace(held.identity, project_id="", project_name="", roles=roles, **scope))

    monkeypatch.setattr(Tokens, "read", elsewhere)
    before = cloud.service.store.revision
    for path, kind in KINDS.items():
        assert (await cloud.ask("GET", ids[path])).status == 404, path
        above = ids[path].rsplit("/", 1)[0]
        listed = await cloud.ask("GET", f"{above}?project_id=blue" if path == "security-groups" else above)
        assert ids[path].rsplit("/", 1)[1].encode() not in listed.body, (path, listed.body)
        assert (await cloud.ask("DELETE", ids[path])).status == 404, path
        body = {"name": "n", "network_id": ids["networks"].rsplit("/", 1)[1], "prefixes": ["10.0.0.0/8"]}
        made = await cloud.ask("POST", above, {kind.singular: {n: v for n, v in body.items() if n in names(kind)}})
        assert made.status in (400, 403, 404), (path, made.body)
    for path in ("/quotas", "/quotas/blue", "/agents", "/network-ip-availabilities"):
        answer = await cloud.ask("GET", path)
        assert answer.status == 403 or not next(iter(answer.json.values())), (path, answer.body)
    assert (await cloud.ask("PUT", "/quotas/blue", {"quota": {"port": 1}})).status == 403
    shared = await cloud.listed("networks", "/networks?router:external=true") if not scope else []
    for one in shared:
        await cloud.refused(403, "PolicyNotAuthorized", "POST", "/ports", {"port": {"network_id": one["id"]}})
    assert cloud.service.store.revision == before


def names(kind: Collection[Any]) -> set[str]:
    return {one.name for one in kind.attributes if one.create}
