"""Quotas of accounts, their policies and containers."""

from __future__ import annotations

import pytest

from store.objects.model import Policy
from tests.gateway_swift.client import Client

POLICIES = (Policy(0, "Gold", default=True), Policy(1, "silver", replicas=2))


async def test_a_container_of_so_many_bytes(client: Client) -> None:
    await client.fill("c", ["a"], b"1234")
    await client("POST", "c", {"X-Container-Meta-Quota-Bytes": "10"})
    assert (await client("PUT", "c/b", body=b"1234567")).status == 413
    answer = await client("PUT", "c/b", body=b"1234567", token="reseller")
    assert (answer.status, answer.body) == (413, b"Upload exceeds quota.")
    assert (await client("PUT", "c/b", body=b"1234567", token="stranger")).status == 403
    assert (await client("PUT", "c/b", body=[b"123", b"4567"], chunked=True)).status == 413
    assert (await client("COPY", "c/a", {"Destination": "c/b", "Range": "bytes=0-1"})).status == 201
    assert (await client("COPY", "c/a", {"Destination": "c/d"})).status == 201
    assert (await client("PUT", "c/e", body=b"1")).status == 413
    assert (await client("PUT", "c/e", {"X-Copy-From": "c/b"})).status == 413
    assert (await client("DELETE", "c/a")).status == 204
    assert (await client("PUT", "c/e", body=[b"12", b"34"], chunked=True)).status == 201


async def test_large_bodies_are_cut_off(client: Client) -> None:
    await client("PUT", "c", {"X-Container-Meta-Quota-Bytes": "100000"})
    assert (await client("PUT", "c/o", body=[b"x" * 60_000, b"x" * 60_000], chunked=True)).status == 413
    assert (await client("PUT", "c/o", body=[b"x" * 60_000, b"x" * 40_000], chunked=True)).status == 201


async def test_a_container_of_so_many_objects(client: Client) -> None:
    await client("PUT", "c", {"X-Container-Meta-Quota-Count": "1"})
    assert (await client("PUT", "c/a")).status == 201
    assert (await client("PUT", "c/b")).status == 413
    await client("POST", "c", {"X-Remove-Container-Meta-Quota-Count": "x"})
    assert (await client("PUT", "c/b")).status == 201


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "²", "9" * 20])
@pytest.mark.parametrize("kind", ["Bytes", "Count"])
async def test_what_is_no_number_is_refused(client: Client, kind: str, value: str) -> None:
    assert (await client("PUT", "c", {f"X-Container-Meta-Quota-{kind}": value})).status == 400
    assert (await client("POST", headers={f"X-Account-Quota-{kind}": value}, token="reseller")).status == 400


@pytest.mark.parametrize(
    "name", ["Meta-Quota-Bytes", "Quota-Bytes", "Quota-Count", "Quota-Bytes-Policy-Gold", "Quota-Count-Policy-silver"]
)
async def test_an_accounts_quota_is_a_resellers(name: str) -> None:
    client = Client(policies=POLICIES)
    for header in (f"X-Account-{name}", f"X-Remove-Account-{name}"):
        assert (await client("POST", headers={header: "5"})).status == 403
    header = f"X-Account-{name}"
    assert (await client("POST", headers={header: "123"}, token="reseller")).status == 204
    assert (await client("HEAD"))[header.lower()] == "123"
    assert (await client("HEAD"))[header.lower().replace("-meta-", "-")] == "123"
    await client("POST", headers={f"X-Remove-Account-{name}": "t"}, token="reseller")
    assert header.lower() not in (await client("HEAD")).headers
    await client("POST", headers={header: "0"}, token="reseller")
    assert (await client("HEAD"))[header.lower()] == "0"
    await client("POST", headers={header: ""}, token="reseller")
    assert header.lower() not in (await client("HEAD")).headers


async def test_an_account_of_so_much() -> None:
    client = Client(policies=POLICIES)
    await client("PUT", "gold")
    await client("PUT", "silver", {"X-Storage-Policy": "silver"})
    await client("POST", headers={"X-Account-Quota-Bytes-Policy-Silver": "5"}, token="reseller")
    answer = await client("PUT", "silver/o", body=b"123456")
    assert (answer.status, answer.body) == (413, b"Upload exceeds policy quota.")
    assert (await client("PUT", "gold/o", body=b"123456")).status == 201
    assert (await client("PUT", "silver/o", body=b"12345")).status == 201
    await client("POST", headers={"X-Account-Meta-Quota-Bytes": "12"}, token="reseller")
    assert (await client("PUT", "gold/p", body=b"12")).status == 413
    assert (await client("PUT", "gold/p", body=[b"1", b"2"], chunked=True)).status == 413
    assert (await client("PUT", "gold/p", body=b"12", token="reseller")).status == 201
    await client("POST", headers={"X-Remove-Account-Quota-Bytes": "t", "X-Account-Quota-Count": "4"}, token="reseller")
    assert (await client("PUT", "gold/q")).status == 201
    assert (await client("PUT", "gold/r")).status == 413
