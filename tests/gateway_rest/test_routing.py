"""Which handlers a path means."""

from __future__ import annotations

import pytest

from gateway.rest.routing import Router

ROUTES = {
    "/": {"GET": "root"},
    "/v3/users": {"GET": "list", "POST": "create"},
    "/v3/users/{id}": {"GET": "show"},
    "/v3/users/{user_id}/groups": {"GET": "groups"},
    "/v3/domains/config/default": {"GET": "defaults"},
    "/v3/domains/{id}/config": {"GET": "config"},
    "/v3/domains/{id}/config/{group}": {"GET": "group"},
}


@pytest.mark.parametrize(
    ("path", "handler", "parts"),
    [
        ("", "root", {}),
        ("/", "root", {}),
        ("/v3/users/", "list", {}),
        ("/v3/users/7", "show", {"id": "7"}),
        ("/v3/users/7/groups", "groups", {"user_id": "7"}),
        ("/v3/domains/config/default", "defaults", {}),
        ("/v3/domains/config/config", "config", {"id": "config"}),
        ("/v3/domains/d/config/ldap", "group", {"id": "d", "group": "ldap"}),
    ],
)
def test_found(path: str, handler: str, parts: dict[str, str]) -> None:
    found = Router(ROUTES).find(path)
    assert found is not None
    assert (found.handlers["GET"], found.parts) == (handler, parts)


@pytest.mark.parametrize("path", ["/v3", "/v3/nothing", "/v3/users/7/groups/8", "/v3/domains", "/v4/users"])
def test_not_found(path: str) -> None:
    assert Router(ROUTES).find(path) is None
