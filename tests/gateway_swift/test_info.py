"""What the gateway says of itself, held to what it does."""

from __future__ import annotations

from gateway.swift.config import Config, Limits
from store.objects.model import Policy
from tests.gateway_swift.client import Client


async def test_info() -> None:
    client = Client(
        Config(limits=Limits(container_listing_limit=5)),
        (Policy(0, "gold", default=True), Policy(1, "silver"), Policy(2, "old", deprecated=True)),
    )
    answer = await client("GET", "/info", raw=True, token=None)
    assert answer["content-type"].startswith("application/json")
    info = answer.json()
    assert {"swift", "slo", "tempurl"} <= set(info)
    assert info["swift"]["policies"] == [
        {"name": "gold", "aliases": "gold", "default": True},
        {"name": "silver", "aliases": "silver"},
    ]
    assert int(info["swift"]["version"].split(".")[0]) >= 2  # what stock clients ask of Swift; ours stands beside it
    assert info["drystone"]["version"]
    assert info["swift"]["container_listing_limit"] == 5
    await client("PUT", "c")
    assert (await client("GET", "c", query={"limit": 6})).status == 412
    assert (await client("HEAD", "/info", raw=True)).body == b""
    assert (await client("OPTIONS", "/info", raw=True))["allow"] == "GET, HEAD, OPTIONS"
    assert (await client("PUT", "/info", raw=True)).status == 405
    answer = await client("GET", "/healthcheck", raw=True, token=None)
    assert (answer.status, answer.body) == (200, b"OK")


async def test_what_is_switched_on_is_stated() -> None:
    plain = (await Client()("GET", "/info", raw=True)).json()
    assert {"tempauth", "account_quotas", "container_quotas", "bulk_upload", "bulk_delete", "formpost"} <= set(plain)
    assert {"staticweb", "crossdomain", "etag_quoter"} <= set(plain)
    assert "domain_remap" not in plain
    assert not plain["swift"]["allow_open_expired"]
    config = Config(storage_domains=("example.com",), open_expired=True, cors_origins=("http://a",), strict_cors=False)
    chosen = (await Client(config)("GET", "/info", raw=True)).json()
    assert chosen["domain_remap"] == {"default_reseller_prefix": None}
    assert chosen["swift"]["allow_open_expired"]
    assert (chosen["swift"]["cors_allow_origin"], chosen["swift"]["strict_cors_mode"]) == (["http://a"], False)
