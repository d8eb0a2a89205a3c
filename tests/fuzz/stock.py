"""What is there before anybody misbehaves: a container for every feature, and objects of every kind in them."""

from __future__ import annotations

import json

from tests.fuzz.asking import Ask, Cast, Field

LARGE = bytes(range(256)) * 300
"""More than is kept inline."""

CONTAINERS = ("plain", "seg", "ver", "old", "arch", "web", "quota", "code", "none", "new")
OBJECTS = ("small", "large", "slo", "nested", "dlo", "link", "hard", "ver", "index.html", "d/e", "né", "none")
THERE = (
    "plain/small", "plain/large", "plain/slo", "plain/nested", "plain/dlo", "plain/link", "plain/hard", "plain/d/e",
    "ver/ver", "old/ver", "web/index.html", "web/d", "web/d/", "web/d/e", "web/none", "code/large", "seg/a",
    "quota/small",
)  # fmt: skip
"""Paths of what is there, or shown as if it were."""


def stock(cast: Cast) -> list[Ask]:
    """Requests of the owner that make it, all of which succeed."""
    root = f"/v1/{cast.account}".encode()

    def put(path: str, body: bytes = b"", *fields: Field) -> Ask:
        target = root + b"/" + path.encode() if path else root
        return Ask(b"PUT", target, ((b"Host", b"cloud.test"), (b"X-Auth-Token", cast.tokens[0]), *fields), body)

    def manifest(*entries: object) -> bytes:
        return json.dumps(entries).encode()

    def site(name: str, value: str) -> Field:
        return f"X-Container-Meta-Web-{name}".encode(), value.encode()

    key = cast.key.encode()
    return [
        put("plain", b"", (b"X-Container-Meta-Access-Control-Allow-Origin", b"http://a.test"),
            (b"X-Container-Meta-Temp-Url-Key", key), (b"X-Container-Read", b".r:*,.rlistings")),
        put("seg"), put("arch"), put("quota", b"", (b"X-Container-Meta-Quota-Bytes", b"100000")),
        put("ver", b"", (b"X-Versions-Enabled", b"true")), put("old", b"", (b"X-Versions-Location", b"arch")),
        put("code", b"", (b"X-Storage-Policy", b"code")),
        put("web", b"", site("Index", "index.html"), site("Error", "error.html"), site("Listings", "true"),
            (b"X-Container-Read", b".r:*,.rlistings")),
        put("plain/small", b"hello world", (b"X-Object-Meta-Colour", b"blue")), put("plain/large", LARGE),
        put("plain/d/e", b"deep"), put("plain/n%C3%A9", b"accent"), put("code/large", LARGE),
        put("seg/a", b"aaaaa"), put("seg/b", b"bbb"), put("seg/c", LARGE),
        put("plain/slo?multipart-manifest=put",
            manifest({"path": "seg/a"}, {"path": "seg/c", "range": "5-70000"}, {"data": "aW5saW5l"})),
        put("plain/nested?multipart-manifest=put", manifest({"path": "plain/slo"}, {"path": "seg/b"})),
        put("plain/dlo", b"", (b"X-Object-Manifest", b"web/d/")),
        put("plain/link", b"", (b"X-Symlink-Target", b"plain/slo")),
        put("plain/hard", b"", (b"X-Symlink-Target", b"plain/small"),
            (b"X-Symlink-Target-Etag", b"5eb63bbbe01eeed093cb22bb8f5acdc3")),
        put("ver/ver", b"one"), put("ver/ver", b"two"), put("old/ver", b"one"), put("old/ver", b"two"),
        put("web/index.html", b"<h1>hi</h1>"), put("web/404error.html", b"none"), put("web/d/index.html", b"dir"),
        put("web/d/e", b"file"), put("quota/small", b"12345"),
    ]  # fmt: skip


def account_settings(cast: Cast) -> Ask:
    """The account's own headers."""
    fields = (
        (b"Host", b"cloud.test"),
        (b"X-Auth-Token", cast.tokens[0]),
        (b"X-Account-Meta-Temp-Url-Key", cast.key.encode()),
        (b"X-Account-Access-Control", b'{"read-only":["away-id"]}'),
    )
    return Ask(b"POST", f"/v1/{cast.account}".encode(), fields)
