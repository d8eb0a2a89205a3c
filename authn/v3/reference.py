"""What is only looked at here: domains, regions, services and endpoints."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from authn.records import Domain, Endpoint, Service
from authn.v3.answers import answer
from authn.v3.call import Call
from authn.v3.catalog import url_of
from authn.v3.listing import page
from store.core.errors import NotFoundError


async def list_domains(call: Call) -> Response:
    """All domains."""
    await call.allow("list_domains")
    return page(call, "domains", (_domain(call, domain) for domain in call.snapshot.domains), ("name", "enabled"))


async def show_domain(call: Call) -> Response:
    """One domain."""
    await call.allow("get_domain")
    return answer({"domain": _domain(call, call.snapshot.domains.require(call.path("domain_id")))})


async def list_services(call: Call) -> Response:
    """All services."""
    await call.allow("list_services")
    return page(call, "services", (_service(call, service) for service in call.snapshot.services), ("name", "type"))


async def show_service(call: Call) -> Response:
    """One service."""
    await call.allow("get_service")
    return answer({"service": _service(call, call.snapshot.services.require(call.path("service_id")))})


async def list_endpoints(call: Call) -> Response:
    """All endpoints."""
    await call.allow("list_endpoints")
    rows = (_endpoint(call, endpoint) for endpoint in call.snapshot.endpoints)
    return page(call, "endpoints", rows, ("interface", "service_id", "region_id", "region"))


async def show_endpoint(call: Call) -> Response:
    """One endpoint."""
    await call.allow("get_endpoint")
    return answer({"endpoint": _endpoint(call, call.snapshot.endpoints.require(call.path("endpoint_id")))})


async def list_regions(call: Call) -> Response:
    """The regions that endpoints are in, for anybody with a token, as in stock keystone."""
    await call.caller()
    return page(call, "regions", [_region(call, name) for name in _regions(call)])


async def show_region(call: Call) -> Response:
    """One region."""
    await call.caller()
    name = call.path("region_id")
    if name not in _regions(call):
        raise NotFoundError(f"Could not find region: {name}.")
    return answer({"region": _region(call, name)})


def _regions(call: Call) -> set[str]:
    return {endpoint.region for endpoint in call.snapshot.endpoints}


def _region(call: Call, name: str) -> dict[str, Any]:
    links = {"self": f"{call.base}/regions/{name}"}
    return {"id": name, "description": "", "parent_region_id": None, "links": links}


def _domain(call: Call, domain: Domain) -> dict[str, Any]:
    return {
        "id": domain.id,
        "name": domain.name,
        "description": domain.description,
        "enabled": domain.enabled,
        "options": {},
        "tags": [],
        "links": {"self": f"{call.base}/domains/{domain.id}"},
    }


def _service(call: Call, service: Service) -> dict[str, Any]:
    return {
        "id": service.id,
        "type": service.type,
        "name": service.name,
        "description": service.description,
        "enabled": service.enabled,
        "links": {"self": f"{call.base}/services/{service.id}"},
    }


def _endpoint(call: Call, endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "service_id": endpoint.service_id,
        "interface": endpoint.interface,
        "region": endpoint.region,
        "region_id": endpoint.region,
        "url": url_of(endpoint, call.origin),
        "enabled": endpoint.enabled,
        "links": {"self": f"{call.base}/endpoints/{endpoint.id}"},
    }
