"""`/info`: what this gateway does, so that clients need not guess. Nothing is stated that is not there."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gateway.objects.links import LOOP_MAX
from gateway.swift.config import Config
from gateway.swift.protocol import version_headers
from gateway.swift.service import Service

API_VERSION = "2.38.0"
"""The release of Swift whose API this is, as measured by its own functional suite. Stock clients ask for it."""


def _version() -> str:
    try:
        return version("drystone")
    except PackageNotFoundError:
        return "0"


def capabilities(service: Service) -> dict[str, Any]:
    """The answer's content."""
    config: Config = service.config
    limits = service.limits
    return {
        "swift": {
            "version": API_VERSION,
            "valid_api_versions": ["v1", "v1.0"],
            "policies": _policies(service),
            "account_autocreate": config.account_autocreate,
            "allow_account_management": config.allow_account_management,
            "max_file_size": limits.max_file_size,
            "max_meta_name_length": limits.max_meta_name_length,
            "max_meta_value_length": limits.max_meta_value_length,
            "max_meta_count": limits.max_meta_count,
            "max_meta_overall_size": limits.max_meta_overall_size,
            "max_header_size": limits.max_header_size,
            "max_object_name_length": limits.max_object_name_length,
            "max_container_name_length": limits.max_container_name_length,
            "max_account_name_length": limits.max_account_name_length,
            "container_listing_limit": limits.container_listing_limit,
            "account_listing_limit": limits.account_listing_limit,
            "extra_header_count": 0,
            "strict_cors_mode": config.strict_cors,
            "cors_allow_origin": list(config.cors_origins),
            "cors_expose_headers": list(config.cors_exposed),
            "allow_open_expired": config.open_expired,
        },
        "drystone": {"version": _version()},
        "tempauth": {"account_acls": True},
        "account_quotas": {},
        "container_quotas": {},
        "bulk_upload": {
            "max_containers_per_extraction": limits.max_containers_per_extraction,
            "max_failed_extractions": limits.max_failed_extractions,
        },
        "bulk_delete": {
            "max_deletes_per_request": limits.max_deletes_per_request,
            "max_failed_deletes": limits.max_failed_deletes,
        },
        "crossdomain": {},
        "formpost": {
            "allowed_digests": sorted(config.tempurl_digests),
            "deprecated_digests": [name for name in config.tempurl_digests if name == "sha1"],
        },
        "staticweb": {},
        "etag_quoter": {"enable_by_default": config.quote_etags},
        **({"domain_remap": {"default_reseller_prefix": None}} if config.storage_domains else {}),
        "symlink": {"symloop_max": LOOP_MAX, "static_links": True},
        "object_versioning": {},
        "versioned_writes": {"allowed_flags": list(version_headers.FLAGS)},
        "slo": {
            "max_manifest_segments": limits.max_manifest_segments,
            "max_manifest_size": limits.max_manifest_size,
            "yield_frequency": config.heartbeat_seconds,
            "min_segment_size": 1,
            "allow_async_delete": True,
            "allow_owned_segments": True,
        },
        "tempurl": {
            "methods": list(config.tempurl_methods),
            "incoming_remove_headers": ["x-timestamp", "x-open-expired"],
            "incoming_allow_headers": [],
            "outgoing_remove_headers": ["x-object-meta-*"],
            "outgoing_allow_headers": ["x-object-meta-public-*"],
            "allowed_digests": sorted(config.tempurl_digests),
            "deprecated_digests": [name for name in config.tempurl_digests if name == "sha1"],
        },
    }


def _policies(service: Service) -> list[dict[str, Any]]:
    stated = []
    for policy in service.policies.values():
        if policy.deprecated:
            continue
        entry: dict[str, Any] = {"name": policy.name, "aliases": policy.name}
        if policy.default:
            entry["default"] = True
        stated.append(entry)
    return stated


def body(service: Service) -> bytes:
    """The answer, ready to send."""
    return json.dumps(capabilities(service)).encode()
