"""The catalogue: which services there are, and where, for one project."""

from __future__ import annotations

import re
from typing import Any, Final

from authn.catalogue import chosen_endpoints
from authn.records import Endpoint
from authn.snapshot import IdentitySnapshot

_PROJECT: Final = re.compile(r"[%$]\((?:project|tenant)_id\)s")


def url_of(endpoint: Endpoint, origin: str) -> str:
    """Where it is for a client that asked at `origin`; `%(project_id)s` still stands in it."""
    return origin + endpoint.url if endpoint.url.startswith("/") else endpoint.url


def catalog(snapshot: IdentitySnapshot, origin: str, project_id: str) -> list[dict[str, Any]]:
    """What a project's users are told; with "" what others are, without what stands for one project. As in stock
    keystone a service without endpoints is in it, unless endpoints were chosen for the project."""
    rows = []
    chosen = chosen_endpoints(snapshot, project_id)
    for service in sorted(snapshot.services, key=lambda service: service.type):
        endpoints = [
            endpoint
            for endpoint in snapshot.endpoints
            if endpoint.service_id == service.id
            and (chosen is None or endpoint.id in chosen)
            and endpoint.enabled
            and (project_id or not _PROJECT.search(endpoint.url))
        ]
        if service.enabled and (endpoints or chosen is None):
            rows.append(
                {
                    "id": service.id,
                    "type": service.type,
                    "name": service.name,
                    "endpoints": [
                        {
                            "id": endpoint.id,
                            "interface": endpoint.interface,
                            "region": endpoint.region,
                            "region_id": endpoint.region,
                            "url": _filled(url_of(endpoint, origin), project_id),
                        }
                        for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.id)
                    ],
                }
            )
    return rows


def _filled(url: str, project_id: str) -> str:
    # The forms that stock catalogues use; nothing else in a URL is taken for a pattern.
    for word in ("project_id", "tenant_id"):
        url = url.replace(f"%({word})s", project_id).replace(f"$({word})s", project_id)
    return url
