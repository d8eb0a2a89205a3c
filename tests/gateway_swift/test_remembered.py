"""Containers that this process remembers, and another has changed since: requests go by what is so."""

from __future__ import annotations

import pytest

from store.objects.model import Container
from tests.gateway_swift.client import HOME, Client


@pytest.fixture
async def outdated(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A container whose versions are kept, remembered as it was before."""
    await client.fill("box", ["a"], b"first")
    before = client.store.known_container(HOME, "box")
    assert (await client("POST", "box", {"X-Versions-Enabled": "true"})).status == 204

    def remembered(_account: str, name: str) -> Container | None:
        return before if name == "box" else None

    monkeypatch.setattr(client.store, "known_container", remembered)
    return client


async def versions(client: Client) -> int:
    return len((await client("GET", "box", query="versions&format=json")).json())


async def test_what_is_overwritten_is_kept(outdated: Client) -> None:
    answer = await outdated("PUT", "box/a", body=b"second")
    assert answer.status == 201
    assert "x-object-version-id" in answer.headers
    assert (await outdated("GET", "box/a")).body == b"second"
    assert await versions(outdated) == 2


async def test_what_is_deleted_is_kept(outdated: Client) -> None:
    answer = await outdated("DELETE", "box/a")
    assert answer.status == 204
    assert "x-object-version-id" in answer.headers
    assert await versions(outdated) == 2


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_read_shows_its_version(outdated: Client, method: str) -> None:
    answer = await outdated(method, "box/a")
    assert (answer.status, answer.headers.get("x-object-version-id")) == (200, "null")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_a_container_that_is_gone(client: Client, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    await client.fill("box", [])
    before = client.store.known_container(HOME, "box")
    assert (await client("DELETE", "box")).status == 204
    monkeypatch.setattr(client.store, "known_container", lambda _account, _name: before)
    answer = await client(method, "box/a", body=b"second" if method == "PUT" else b"")
    assert answer.status == 404
