"""Containers as web sites."""

from __future__ import annotations

import hashlib
import hmac
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.swift.sites.pages import disabled, human, listing, stylesheet
from store.core.stamp import Stamp
from store.objects.model import ObjectEntry, Subdir
from tests.gateway_swift.client import HOME, Answer, Client

PUBLIC = {"X-Container-Read": ".r:*,.rlistings"}
INDEX = {"X-Container-Meta-Web-Index": "index.html"}
LISTINGS = {"X-Container-Meta-Web-Listings": "true"}
ERROR = {"X-Container-Meta-Web-Error": "error.html"}


async def site(client: Client, *settings: dict[str, str]) -> None:
    headers: dict[str, str] = {}
    for each in (PUBLIC, *settings):
        headers |= each
    assert (await client("PUT", "c", headers)).status == 201
    for name in ("index.html", "page", "dir/index.html", "sub/page", "404error.html", "401error.html"):
        assert (
            await client("PUT", f"c/{name}", {"Content-Type": "text/html"}, f"this is {name}".encode())
        ).status == 201
    for name in ("dir", "sub", "sub/"):
        assert (await client("PUT", f"c/{name}", {"Content-Type": "application/directory"})).status == 201


async def browse(client: Client, path: str, method: str = "GET", **headers: str) -> Answer:
    return await client(method, path, {"Host": "h:80", **headers}, token=None)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_index_stands_for_its_directory(client: Client, method: str) -> None:
    await site(client, INDEX)
    for path, shown in (("c/", "index.html"), ("c/dir/", "dir/index.html"), ("c/page", "page")):
        answer = await browse(client, path, method)
        assert answer.status == 200
        assert answer.body == (f"this is {shown}".encode() if method == "GET" else b"")
        assert answer["content-length"] == str(len(f"this is {shown}"))
    for path in ("c", "c/dir"):
        answer = await browse(client, path, method)
        assert (answer.status, answer["location"]) == (301, f"http://h:80/v1/{HOME}/{path}/")
    for path in ("c/none", "c/sub/", "c/sub", "c/none/"):
        assert (await browse(client, path, method)).status in (301, 404)
    assert b"Web Listing Disabled" in (await browse(client, "c/sub/")).body


async def test_listings(client: Client) -> None:
    await site(client, LISTINGS)
    answer = await browse(client, "c/")
    assert answer.status == 200
    assert answer["content-type"].startswith("text/html")
    for link in ('<a href="./dir/">dir/</a>', '<a href="./index.html">index.html</a>'):
        assert link in answer.body.decode()
    assert b"../" not in answer.body
    answer = await browse(client, "c/sub/")
    assert b'<a href="../">../</a>' in answer.body
    assert b'<a href="./page">page</a>' in answer.body
    assert (await browse(client, "c/sub"))["location"].endswith("/c/sub/")
    assert (await browse(client, "c/none/")).status == 404
    assert (await browse(client, "c/none")).status == 404
    assert (await browse(client, "none/")).status == 401
    await client("PUT", "c/empty/")
    assert (await browse(client, "c/empty")).status == 301
    assert b'href="./"' not in (await browse(client, "c/empty/")).body
    await client(
        "POST", "c", {"X-Container-Meta-Web-Listings-Label": "Here", "X-Container-Meta-Web-Listings-CSS": "s.css"}
    )
    answer = await browse(client, "c/sub/")
    assert b"Listing of Here/sub/" in answer.body
    assert b'href="../s.css"' in answer.body


async def test_the_sites_own_pages_for_refusals(client: Client) -> None:
    await site(client, INDEX, ERROR)
    answer = await browse(client, "c/none")
    assert (answer.status, answer.body) == (404, b"this is 404error.html")
    assert answer["content-type"] == "text/html"
    await client("POST", "c", {"X-Container-Read": ".r:*"})
    answer = await browse(client, "c/")
    assert (answer.status, answer.body) == (401, b"this is 401error.html")
    assert "www-authenticate" in answer.headers
    for path in ("c/none", "c/sub"):
        assert (await browse(client, path)).body == b"this is 404error.html"
    await client("POST", "c", {"X-Container-Read": "x:y"})
    answer = await browse(client, "c/")
    assert (answer.status, answer.body[:6]) == (401, b"<html>")
    await client("POST", "c", PUBLIC)
    await client("PUT", "c/404error.html", body=b"x" * 1_100_000)
    assert (await browse(client, "c/none")).body[:6] == b"<html>"


async def test_those_with_tokens_see_a_site_where_they_ask(client: Client) -> None:
    await site(client, INDEX)
    assert (await client("GET", "c/")).body.startswith(b"401error.html\n")
    assert (await client("GET", "c/", {"X-Web-Mode": "true"})).body == b"this is index.html"
    assert (await client("GET", "c/dir/", {"X-Web-Mode": "true"})).body == b"this is dir/index.html"
    await client("PUT", "d")
    assert (await client("GET", "d/", {"X-Web-Mode": "true"})).status == 404
    assert (await client("GET", "c", {"X-Web-Mode": "true"}, token="stranger")).status == 301
    await client("POST", "c", {"X-Container-Read": ""})
    assert (await client("GET", "c/", {"X-Web-Mode": "true"}, token="stranger")).status == 403


async def test_no_site_is_no_site(client: Client) -> None:
    await site(client)
    assert (await browse(client, "c")).body.startswith(b"401error.html\n")
    assert (await browse(client, "c/none")).body[:6] == b"<html>"
    assert (await browse(client, "c/sub")).status == 200
    await client("POST", "c", {"X-Container-Read": ""})
    for path in ("c", "c/", "c/page"):
        assert (await browse(client, path)).status == 401


async def test_marks_of_directories_may_have_another_type(client: Client) -> None:
    await site(client, LISTINGS, {"X-Container-Meta-Web-Directory-Type": "text/dir"})
    assert (await browse(client, "c/sub")).status == 200
    await client("PUT", "c/sub", {"Content-Type": "text/dir"})
    assert (await browse(client, "c/sub")).status == 301


def signed(prefix: str, **more: str) -> dict[str, str]:
    line = f"GET\n4000000000\nprefix:/v1/{HOME}/c/{prefix}"
    signature = hmac.new(b"k", line.encode(), hashlib.sha256).hexdigest()
    return {"temp_url_prefix": prefix, "temp_url_expires": "4000000000", "temp_url_sig": signature, **more}


async def test_a_signature_leads_through_a_site(client: Client) -> None:
    await site(client, LISTINGS)
    await client("POST", "c", {"X-Container-Read": "", "X-Container-Meta-Temp-URL-Key": "k"})
    assert (await browse(client, "c/")).status == 401
    assert (await client("GET", "c", token=None, query=signed(""))).status == 301
    answer = await client("GET", "c/", token=None, query=signed("", inline=""))
    tail = f"?temp_url_prefix=&amp;temp_url_expires=4000000000&amp;temp_url_sig={signed('')['temp_url_sig']}&amp;inline"
    assert f'<a href="./sub/{tail}">sub/</a>' in answer.body.decode()
    assert (answer.status, answer["content-disposition"]) == (200, "inline")
    answer = await client("GET", "c/sub/", token=None, query=signed("sub/"))
    assert b'<a href="./page?temp_url_prefix=sub/' in answer.body
    assert b"../" not in answer.body
    assert (await client("GET", "c/sub/page", token=None, query=signed("sub/"))).body == b"this is sub/page"
    for path in ("c/", "c", "c/dir/"):
        assert (await client("GET", path, token=None, query=signed("sub/"))).status == 401
    await client("POST", "c", {"X-Container-Meta-Web-Listings": ""})
    for path in ("c", "c/"):
        assert (await client("GET", path, token=None, query=signed(""))).status == 401
        assert (await client("PUT", path, token=None, query=signed(""))).status == 401
    assert (await client("GET", "c/sub/none", token=None, query=signed("sub/"))).status == 404


class Links(HTMLParser):
    """All that a page links to, and the tags it is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")


names = st.text(min_size=1, max_size=12).filter(str.isprintable) | st.just("<script>&\"'")
TAGS = {"html", "head", "title", "style", "link", "body", "h1", "table", "tr", "th", "td", "a", "p"}


@given(st.lists(names, max_size=5), names, names, names, st.booleans())
def test_names_make_no_tags(found: list[str], label: str, css: str, prefix: str, parent: bool) -> None:
    entries: list[ObjectEntry | Subdir] = [
        ObjectEntry(prefix + name, 5, "", f"{name}/x", {}, Stamp(10**15, 0)) for name in found
    ]
    entries += [Subdir(f"{prefix}{name}/") for name in found]
    page = Links()
    page.feed(b"".join(listing(label, entries, prefix, css, parent=parent, query="?a=b&amp;c")).decode())
    assert page.tags <= TAGS
    shown = sorted(unquote(link.partition("?")[0])[2:] for link in page.links[int(parent) :])
    assert shown == sorted([*found, *(f"{name}/" for name in found)])
    page.feed(disabled(label, css, prefix, css).decode())
    assert page.tags <= TAGS


def test_small_words() -> None:
    assert [human(size) for size in (0, 1023, 1024, 1536, 1024**2, 5 * 1024**4)] == [
        "0",
        "1023",
        "1Ki",
        "2Ki",
        "1Mi",
        "5Ti",
    ]
    assert stylesheet("a b.css", "x/y/") == "../../a%20b.css"
    assert stylesheet("https://h/x.css", "x/") == "https://h/x.css"
    assert stylesheet("/v1/x.css", "x/") == "/v1/x.css"


async def test_a_link_to_nothing_is_not_found_and_no_directory(client: Client) -> None:
    await site(client, INDEX, LISTINGS)
    for name in ("index.html", "link"):
        assert (await client("PUT", f"c/{name}", {"X-Symlink-Target": "c/gone"})).status == 201
    await client("PUT", "c/link/below", body=b"x")
    for path in ("c/", "c/link"):
        assert (await browse(client, path)).status == 404
