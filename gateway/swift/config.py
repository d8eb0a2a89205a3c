"""What an operator may choose, and the limits that `/info` states."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """The stock limits, in bytes unless the name says otherwise; clients read them from `/info`."""

    max_file_size: int = 5_368_709_122
    max_meta_name_length: int = 128
    max_meta_value_length: int = 256
    max_meta_count: int = 90
    max_meta_overall_size: int = 4096
    max_header_size: int = 8192
    max_object_name_length: int = 1024
    max_container_name_length: int = 256
    max_account_name_length: int = 256
    container_listing_limit: int = 10_000
    account_listing_limit: int = 10_000
    max_manifest_segments: int = 1000
    max_manifest_size: int = 8 * 1024 * 1024
    max_deletes_per_request: int = 10_000
    max_failed_deletes: int = 1000
    max_containers_per_extraction: int = 10_000
    max_failed_extractions: int = 1000


@dataclass(frozen=True, slots=True)
class Config:
    """The gateway's choices.

    `reseller_prefixes`: an account is one of these, an underscore and a project's id; those of `service_prefixes` are
    reached only with a service's token beside the user's, that is one with `service_role`. `operator_roles` own their
    project's account, `reader_roles` read it, `reseller_role` owns every account. `tempurl_digests` are those that a
    signature (of a URL or a form) may use.

    `storage_domains`: a host below one of these names an account, or a container and an account (see domain_remap).
    `cors_origins` may read whatever its container allows, `cors_exposed` are headers that they see besides the usual.
    `open_expired` lets X-Open-Expired show what has expired and is not collected yet. `quote_etags` is for containers
    and accounts that do not say themselves. `cross_domain_policy` is what `/crossdomain.xml` holds.

    `download_bytes` is how much memory all downloads hold at once, however many clients do not read theirs.
    """

    reseller_prefixes: tuple[str, ...] = ("AUTH", "SERVICE")
    service_prefixes: frozenset[str] = frozenset({"SERVICE"})
    service_role: str = "service"
    operator_roles: frozenset[str] = frozenset({"admin", "member", "swiftoperator"})
    reader_roles: frozenset[str] = frozenset({"reader"})
    reseller_role: str = "reselleradmin"
    allow_account_management: bool = True
    account_autocreate: bool = True
    tempurl_digests: tuple[str, ...] = ("sha1", "sha256", "sha512")
    tempurl_methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    heartbeat_seconds: float = 10.0
    storage_domains: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    cors_exposed: tuple[str, ...] = ()
    strict_cors: bool = True
    open_expired: bool = False
    quote_etags: bool = False
    cross_domain_policy: str = '<allow-access-from domain="*" secure="false" />'
    download_bytes: int = 128 * 1024 * 1024
    limits: Limits = field(default_factory=Limits)
