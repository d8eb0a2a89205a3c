"""`IdentityApp`: which request goes where, and the outermost layer where every error becomes an answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from uuid import UUID

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import compile_path

from authn.records import new_id
from authn.service import IdentityService
from authn.v3 import assignments, authentication, projects, reference, users, versions
from authn.v3.answers import failure, refusal
from authn.v3.call import Call

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Call], Awaitable[Response]]

PREFIX: Final = "/identity"

ROUTES: Final[Mapping[str, Mapping[str, Handler]]] = {
    "/": {"GET": versions.show_versions},
    "/v3": {"GET": versions.show_version},
    "/v3/auth/tokens": {
        "POST": authentication.create_token,
        "GET": authentication.show_token,
        "DELETE": authentication.delete_token,
    },
    "/v3/auth/catalog": {"GET": authentication.show_catalog},
    "/v3/auth/projects": {"GET": authentication.list_own_projects},
    "/v3/projects": {"GET": projects.list_projects, "POST": projects.create_project},
    "/v3/projects/{project_id}": {
        "GET": projects.show_project,
        "PATCH": projects.update_project,
        "DELETE": projects.delete_project,
    },
    "/v3/users": {"GET": users.list_users, "POST": users.create_user},
    "/v3/users/{user_id}": {"GET": users.show_user, "PATCH": users.update_user, "DELETE": users.delete_user},
    "/v3/users/{user_id}/password": {"POST": users.change_password},
    "/v3/users/{user_id}/projects": {"GET": projects.list_projects_of},
    "/v3/projects/{project_id}/users/{user_id}/roles": {"GET": assignments.list_roles_held},
    "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}": {
        "PUT": assignments.add_role,
        "GET": assignments.check_role,
        "DELETE": assignments.remove_role,
    },
    "/v3/role_assignments": {"GET": assignments.list_assignments},
    "/v3/roles": {"GET": assignments.list_roles},
    "/v3/roles/{role_id}": {"GET": assignments.show_role},
    "/v3/domains": {"GET": reference.list_domains},
    "/v3/domains/{domain_id}": {"GET": reference.show_domain},
    "/v3/regions": {"GET": reference.list_regions},
    "/v3/regions/{region_id}": {"GET": reference.show_region},
    "/v3/services": {"GET": reference.list_services},
    "/v3/services/{service_id}": {"GET": reference.show_service},
    "/v3/endpoints": {"GET": reference.list_endpoints},
    "/v3/endpoints/{endpoint_id}": {"GET": reference.show_endpoint},
}

_SURROGATES: Final = re.compile("[\ud800-\udfff]")

_log = structlog.get_logger(__name__)


class IdentityApp:
    """Serves everything at `/identity` and below."""

    def __init__(self, service: IdentityService) -> None:
        self._service = service
        self._routes = [(compile_path(path)[0], handlers) for path, handlers in ROUTES.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"not served here: {scope['type']}")
        request_id = f"req-{UUID(new_id(self._service.random))}"
        call = Call(self._service, Request(scope, receive))
        try:
            response = await self._handler(call)(call)
        except ClientDisconnect:
            response = failure()
        except Exception as error:
            known = refusal(error, call.origin)
            if known is None:
                _log.exception("identity request failed", request_id=request_id, path=ascii(scope["path"]))
            response = known or failure()
        response.headers["x-openstack-request-id"] = request_id
        response.headers["Vary"] = "X-Auth-Token"
        await response(scope, receive, send)

    def _handler(self, call: Call) -> Handler:
        """Whoever answers the request; the parts of its path are left in the scope."""
        scope = call.request.scope
        path, method = scope["path"].removeprefix(PREFIX).rstrip("/") or "/", scope["method"]
        if _SURROGATES.search(path):
            raise HTTPException(404)  # no UTF-8: nothing has such a name, and no key could hold it
        for pattern, handlers in self._routes:
            found = pattern.match(path)
            if found is None:
                continue
            handler = handlers.get("GET" if method == "HEAD" else method)
            if handler is None:
                raise HTTPException(405, headers={"Allow": ", ".join(handlers)})
            scope["path_params"] = found.groupdict()
            return handler
        raise HTTPException(404)
