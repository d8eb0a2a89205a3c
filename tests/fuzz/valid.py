"""Requests that are right, for every feature: what is damaged afterwards begins near enough to get far."""

from __future__ import annotations

import base64
import bz2
import gzip
import hmac
import json
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from tests.fuzz.asking import Ask, Cast, Field, Framing
from tests.fuzz.bodies import BOMBS, deep_json, small, spoilt_json, tars
from tests.fuzz.stock import CONTAINERS, OBJECTS, THERE
from tests.fuzz.words import FIELDS, PARAMETERS, odd
from tests.networks_api.hostile_routes import Drawn

Draw = st.DrawFn

containers = st.sampled_from(CONTAINERS)
names = st.sampled_from(OBJECTS)
there = st.sampled_from(THERE)
paths = st.one_of(there, there, there, st.tuples(containers, names).map("/".join))
bodies = st.one_of(small, st.binary(max_size=40), st.just(b"L" * 66_000))
seconds = st.sampled_from([-1, 0, 1, 100, 86_400, 10**9])
etags = st.sampled_from(
    ['"5eb63bbbe01eeed093cb22bb8f5acdc3"', "*", "x", '"a", "b"', "", '""', "5eb63bbbe01eeed093cb22bb8f5acdc3"]
)
dates = st.sampled_from(
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Tue, 14 Nov 2023 22:13:20 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
     "Sun Nov  6 08:49:37 1994", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "31 Dec 99999 0:0:0"]
)  # fmt: skip
edges = st.sampled_from(["", "0", "1", "4", "10", "11", "65535", "65536", "76799", "76800", "99999999999999999999"])
likely = st.sampled_from(["bytes=0-0", "bytes=-5", "bytes=1-", "bytes=0-1,3-4", "bytes=0-1,-1", "bytes=3-70000"])
ranges = likely | st.lists(st.tuples(edges, edges).map("-".join), min_size=1, max_size=4).map(
    lambda all_: "bytes=" + ",".join(all_)
)
framings = st.sampled_from([Framing.LENGTH, Framing.LENGTH, Framing.CHUNKED])


T = TypeVar("T")


def mostly(usual: T, *others: T) -> st.SearchStrategy[T]:
    """The usual thing two times in three: a request gets far if no more than a little of it is unusual."""
    return st.sampled_from([usual] * (2 * len(others)) + list(others))


def _fields(pairs: Sequence[tuple[str, str]]) -> tuple[Field, ...]:
    return tuple((name.encode(), value.encode()) for name, value in pairs)


@st.composite
def _ask(
    draw: Draw,
    cast: Cast,
    method: str,
    path: str,
    pairs: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    query: str = "",
    framing: Framing = Framing.LENGTH,
    *,
    signed: bool = False,
) -> Ask:
    """A request below the account, of the owner as a rule."""
    token = draw(mostly(cast.tokens[0], *cast.tokens, None))
    account = draw(st.sampled_from([cast.account] * 12 + [cast.other]))
    fields = (("Host", "cloud.test"), *pairs)
    target = f"/v1/{account}" + (f"/{quote(path)}" if path else "") + (f"?{query}" if query else "")
    ask = Ask(method.encode(), target.encode(), _fields(fields), body, framing)
    return ask if signed or token is None else ask.with_fields((b"X-Auth-Token", token))


@st.composite
def reading(draw: Draw, cast: Cast) -> Ask:
    """Ranges, conditions, parts, versions, links and manifests as such."""
    pairs = draw(
        st.lists(
            st.one_of(
                ranges.map(lambda value: ("Range", value)),
                st.tuples(st.sampled_from(["If-Match", "If-None-Match", "If-Range"]), etags),
                st.tuples(st.sampled_from(["If-Modified-Since", "If-Unmodified-Since", "If-Range"]), dates),
                st.sampled_from([("X-Web-Mode", "true"), ("X-Open-Expired", "true"), ("X-Newest", "true"),
                                 ("Origin", "http://a.test"), ("X-Trans-Id-Extra", "é"),
                                 ("Accept", "application/json")]),
            ), max_size=3,
        )
    )  # fmt: skip
    query = draw(
        st.sampled_from(["", "", "multipart-manifest=get", "multipart-manifest=get&format=raw", "part-number=1",
                         "part-number=2", "part-number=9", "symlink=get", "version-id=null", "versions",
                         "version-id=1699999999.99999", "version-id=0000000000.00000"])
    )  # fmt: skip
    method = draw(st.sampled_from(["GET", "GET", "HEAD"]))
    return draw(_ask(cast, method, draw(paths), pairs, query=query))


@st.composite
def listing(draw: Draw, cast: Cast) -> Ask:
    """Listings of accounts and containers, and sites."""
    words = st.sampled_from(
        [
            "",
            "a",
            "d",
            "d/",
            "d/e",
            "/",
            "é",
            "plain",
            "small",
            "zz",
            "-",
            "ver",
            "1",
            "3",
            "10001",
            "²",
            "-1",
            "\0",
            "9" * 5000,
        ]
    )
    keys = st.sampled_from(
        ["limit", "marker", "end_marker", "prefix", "delimiter", "path", "reverse", "versions", "version_marker"]
    )
    query = draw(st.dictionaries(keys, words, max_size=4))
    kind = draw(st.sampled_from(["", "json", "xml", "plain", "yaml"]))
    if kind:
        query["format"] = kind
    pairs = draw(
        st.lists(st.sampled_from([("Accept", "application/json"), ("Accept", "text/xml;q=0.5,*/*;q=0.1"),
                                  ("X-Web-Mode", "true"), ("Referer", "http://a.test/")]), max_size=1)
    )  # fmt: skip
    path = draw(st.one_of(st.just(""), containers, containers.map(lambda name: f"{name}/")))
    return draw(_ask(cast, draw(st.sampled_from(["GET", "HEAD"])), path, pairs, query=urlencode(query)))


@st.composite
def writing(draw: Draw, cast: Cast) -> Ask:
    """PUT, POST and DELETE of objects with everything that may be said of them."""
    pairs = draw(
        st.lists(
            st.one_of(
                st.sampled_from([("Content-Type", "text/plain; charset=utf-8"), ("X-Object-Meta-A", "é"),
                                 ("X-Detect-Content-Type", "true"), ("Content-Disposition", "inline"),
                                 ("X-Object-Manifest", "web/d/"), ("X-Object-Manifest", "seg%2F/%00"),
                                 ("X-Symlink-Target", "plain/small"), ("X-Symlink-Target", "plain/link"),
                                 ("X-Symlink-Target-Account", "AUTH_away-id"), ("X-Delete-After", "1"),
                                 ("X-Symlink-Target-Etag", "5eb63bbbe01eeed093cb22bb8f5acdc3"),
                                 ("ETag", "5eb63bbbe01eeed093cb22bb8f5acdc3"), ("If-None-Match", "*"),
                                 ("Expect", "100-continue"), ("X-If-Delete-At", "1800000000")]),
                seconds.map(lambda value: ("X-Delete-At", str(cast.now_s + value))),
                seconds.map(lambda value: ("X-Delete-After", str(value))),
                etags.map(lambda value: ("If-Match", value)),
            ), max_size=3, unique_by=lambda pair: pair[0],
        )
    )  # fmt: skip
    method = draw(st.sampled_from(["PUT", "PUT", "PUT", "POST", "DELETE"]))
    query = draw(st.sampled_from(["", "", "", "version-id=null", "multipart-manifest=delete", "symlink=get",
                                  "multipart-manifest=delete&async=on"]))  # fmt: skip
    body = draw(bodies) if method == "PUT" else b""
    return draw(_ask(cast, method, draw(paths), pairs, body, query, draw(framings)))


@st.composite
def copying(draw: Draw, cast: Cast) -> Ask:
    """COPY, and PUT with X-Copy-From."""
    source, target = draw(paths), draw(paths)
    pairs = draw(
        st.lists(st.one_of(
            st.sampled_from([("X-Fresh-Metadata", "true"), ("X-Object-Meta-B", "c"), ("Content-Type", "a/b"),
                             ("X-Delete-After", "100"), ("If-None-Match", "*")]),
            ranges.map(lambda value: ("Range", value)),
        ), max_size=2, unique_by=lambda pair: pair[0])
    )  # fmt: skip
    query = draw(st.sampled_from(["", "multipart-manifest=get", "symlink=get", "part-number=1", "version-id=null"]))
    if draw(st.booleans()):
        pairs += [("Destination", quote(target))]
        if not draw(st.integers(0, 3)):
            pairs += [("Destination-Account", cast.other)]
        return draw(_ask(cast, "COPY", source, pairs, query=query))
    pairs += [("X-Copy-From", quote(source))]
    if not draw(st.integers(0, 3)):
        pairs += [("X-Copy-From-Account", cast.other)]
    return draw(_ask(cast, "PUT", target, pairs, query=query))


access = st.sampled_from(
    [".r:*", ".r:*,.rlistings", ".r:.a.test,.r:-b.a.test", "away-id", "*:*", "home:olga", "member", ".r:-", ".x:y",
     "AUTH_away-id", " , ,", "a:b:c", "%2a:%2A"]
)  # fmt: skip


@st.composite
def containing(draw: Draw, cast: Cast) -> Ask:
    """PUT, POST and DELETE of containers and accounts with their headers."""
    pairs = draw(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(["X-Container-Read", "X-Container-Write"]), access),
                st.tuples(st.sampled_from(["X-Container-Meta-Quota-Bytes", "X-Container-Meta-Quota-Count"]),
                          st.sampled_from(["0", "5", "1000000", "-1", "9999999999999999999", "", "²", "٣"])),
                st.tuples(st.sampled_from(["X-Versions-Enabled", "X-Container-Rfc-Compliant-Etags",
                                           "X-Container-Meta-Web-Listings"]), st.sampled_from(["true", "false", ""])),
                st.tuples(st.sampled_from(["X-Versions-Location", "X-History-Location"]),
                          st.sampled_from(["arch", "old", "none", "", "%2f", "a%00", "ver", "%ff"])),
                st.tuples(st.sampled_from(["X-Container-Meta-Web-Index", "X-Container-Meta-Web-Error"]),
                          st.sampled_from(["index.html", "large", "slo", "", "é", "a" * 250])),
                st.tuples(st.just("X-Storage-Policy"), st.sampled_from(["copies", "code", "none"])),
                st.tuples(st.sampled_from(["X-Account-Quota-Bytes", "X-Account-Quota-Count-Policy-Code"]),
                          st.sampled_from(["0", "1000", "x", "", "²"])),
                st.sampled_from([("X-Container-Sync-Key", "k"), ("X-Container-Sync-To", "http://b/v1/a/c"),
                                 ("X-Remove-Container-Read", "x"), ("X-Remove-Versions-Location", "x"),
                                 ("X-Container-Meta-Access-Control-Max-Age", "x"), ("X-Account-Meta-A", "b"),
                                 ("X-Remove-Container-Meta-Web-Index", "x"), ("X-Container-Meta-Temp-Url-Key", "key"),
                                 ("X-Container-Meta-Access-Control-Allow-Origin", "http://a.test *"),
                                 ("X-Container-Meta-Web-Directory-Type", "text/plain"),
                                 ("X-Container-Meta-Access-Control-Expose-Headers", "X-Foo é")]),
            ), max_size=4, unique_by=lambda pair: pair[0],
        )
    )  # fmt: skip
    if not draw(st.integers(0, 3)):
        pairs += [
            ("X-Account-Access-Control", json.dumps(draw(spoilt_json({"admin": ["away-id"], "read-only": ["*"]}))))
        ]
    path = draw(st.one_of(containers, containers, st.just("")))
    return draw(_ask(cast, draw(st.sampled_from(["PUT", "POST", "POST", "DELETE", "OPTIONS"])), path, pairs))


@st.composite
def manifests(draw: Draw, cast: Cast) -> Ask:
    """Static large objects: nested, ranged, with inline data."""
    segments = st.fixed_dictionaries(
        {
            "path": st.sampled_from(
                ["seg/a", "/seg/c", "plain/slo", "plain/nested", "plain/link", "plain/dlo", "none/x", "new/slo"]
            )
        },
        optional={
            "etag": st.sampled_from([None, "594f803b380a41396ed63dca39503542", "x"]),
            "size_bytes": st.sampled_from([None, 5, 5.0, "5", 76_800, 3]),
            "range": st.sampled_from([None, "0-2", "-1", "1-", "5-4", "0-999999", "0-0,2-2"]),
        },
    )
    inline = st.fixed_dictionaries({"data": st.binary(max_size=20).map(lambda raw: base64.b64encode(raw).decode())})
    right = draw(st.lists(st.one_of(segments, segments, inline), max_size=4))
    body = json.dumps(draw(spoilt_json(right))).encode()
    if not draw(st.integers(0, 15)):
        body = draw(deep_json())
    query = draw(st.sampled_from(["", "&heartbeat=on"]))
    others = [("Accept", "application/xml"), ("Accept", "text/plain"), ("ETag", "x"), ("If-None-Match", "*")]
    pairs = draw(st.lists(st.sampled_from([*others, ("X-Symlink-Target", "a/b")]), max_size=1))
    target = draw(mostly("plain/new", "new/slo", "plain/slo", "ver/slo", "quota/slo", "none/slo"))
    return draw(_ask(cast, "PUT", target, pairs, body, f"multipart-manifest=put{query}", draw(framings)))


@st.composite
def signed_urls(draw: Draw, cast: Cast) -> Ask:
    """Temporary URLs, mostly signed as they should be."""
    method = draw(st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]))
    path = draw(st.one_of(paths, st.just("web/")))
    expires = cast.now_s + draw(mostly(1000, -5, 10**17))
    digest = draw(st.sampled_from(["sha1", "sha256", "sha512"]))
    prefix = draw(mostly(None, "", path.partition("/")[2][:2], "é"))
    ip_range = draw(mostly("", "192.0.2.0/24", "127.0.0.0/8", "::/0", "300.1.1.1", "192.0.2.7/99"))
    covered = f"/v1/{cast.account}/{path}"
    if prefix is not None:
        covered = f"prefix:/v1/{cast.account}/{path.partition('/')[0]}/{prefix}"
    lines = [*([f"ip={ip_range}"] if ip_range else []), method, str(expires), covered]
    signature = hmac.new(cast.key.encode(), "\n".join(lines).encode(), digest)
    shown = signature.hexdigest()
    if draw(st.booleans()):
        shown = f"{digest}:{base64.urlsafe_b64encode(signature.digest()).decode()}"
    query = {"temp_url_sig": shown, "temp_url_expires": str(expires)}
    if prefix is not None:
        query["temp_url_prefix"] = prefix
    if ip_range:
        query["temp_url_ip_range"] = ip_range
    query |= draw(st.dictionaries(st.sampled_from(["filename", "inline", "multipart-manifest", "limit"]),
                                  st.sampled_from(["", "é\"\r\n", "get", "../x", "a;b"]), max_size=2))  # fmt: skip
    pairs = draw(st.lists(st.sampled_from([("X-Object-Manifest", "web/d/"), ("Range", "bytes=0-1")]), max_size=1))
    body = draw(small) if method == "PUT" else b""
    return draw(_ask(cast, method, path, pairs, body, urlencode(query), signed=True))


@st.composite
def forms(draw: Draw, cast: Cast) -> Ask:
    """Forms with files, mostly signed as they should be."""
    path = draw(mostly("plain/up/", "plain", "quota/", "ver/x", "none/"))
    boundary = draw(mostly("frontier", "-", "a" * 70, "x y"))
    said = {"redirect": draw(mostly("", "http://a/?b", "http://a/\né")), "max_file_size": "70000",
            "max_file_count": draw(mostly("2", "1", "0")), "expires": str(cast.now_s + 1000)}  # fmt: skip
    lines = [
        f"/v1/{cast.account}/{path}",
        said["redirect"],
        said["max_file_size"],
        said["max_file_count"],
        said["expires"],
    ]
    said["signature"] = hmac.new(cast.key.encode(), "\n".join(lines).encode(), "sha256").hexdigest()
    said |= draw(st.dictionaries(
        st.sampled_from(["x_delete_at", "x_delete_after", "content-type", "content-encoding", "max_file_size", "x"]),
        st.sampled_from(["", "1", "-1", "text/html", "é", "9" * 30, "1999999999", "²", "٣", "1_0", "a\tb"]), max_size=2,
    ))  # fmt: skip
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in said.items()]
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(["one", "é", "a/b", "../..", "\0", '"', "x" * 1100]))
        more = draw(
            st.sampled_from(
                ["", "Content-Type: text/x\r\n", "Content-Encoding: \tgzip\r\n", "Content-Type: é;swift_x=1\r\n"]
            )
        )
        head = f'Content-Disposition: form-data; name="f"; filename="{name}"\r\n{more}\r\n'.encode()
        parts.append(head + draw(bodies))
    line = b"--" + boundary.encode()
    body = (
        b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + draw(st.sampled_from([b"--", b"--\r\n"]))
    )
    kind = f"multipart/form-data; boundary={boundary}"
    return draw(_ask(cast, "POST", path, [("Content-Type", kind)], body, "", draw(framings), signed=True))


@st.composite
def archives(draw: Draw, cast: Cast) -> Ask:
    """Uploads of archives."""
    raw = draw(tars())
    kind = draw(st.sampled_from(["tar", "tar.gz", "tar.bz2", "tar.xz"]))
    if kind == "tar.gz":
        raw = gzip.compress(raw, mtime=0) + draw(
            st.sampled_from([b"", b"\0" * 9, b"x", gzip.compress(b"", mtime=0) * 20])
        )
    elif kind == "tar.bz2":
        raw = bz2.compress(raw) + draw(st.sampled_from([b"", b"x", bz2.compress(b"")]))
    if kind in ("tar.gz", "tar.bz2") and not draw(st.integers(0, 20)):
        raw = BOMBS[kind[4:]]
    path = draw(st.sampled_from(["", "new", "plain/up", "quota"]))
    pairs = draw(st.lists(st.sampled_from([("Accept", "application/json"), ("Accept", "text/xml"), ("X-Delete-At", "5"),
                                           ("X-Object-Meta-A", "b"), ("Accept", "x/y")]), max_size=2))  # fmt: skip
    return draw(_ask(cast, "PUT", path, pairs, raw, f"extract-archive={kind}", draw(framings)))


@st.composite
def bulk_deletes(draw: Draw, cast: Cast) -> Ask:
    """Many removals by one request."""
    lines = draw(
        st.lists(st.one_of(paths.map(quote), containers, odd.map(lambda raw: raw.decode("latin-1"))), max_size=6)
    )
    body = "\n".join(lines).encode("latin-1")
    if not draw(st.integers(0, 20)):
        body = draw(st.sampled_from([b"a/b\n" * 10_001, b"none/x\n" * 300, b"x" * 5000, b"\n" * 5000]))
    pairs = draw(st.lists(st.sampled_from([("Accept", "application/json"), ("Content-Type", "text/plain"),
                                           ("Content-Type", "text/x")]), max_size=2))  # fmt: skip
    return draw(_ask(cast, draw(st.sampled_from(["POST", "DELETE"])), "", pairs, body, "bulk-delete", draw(framings)))


@st.composite
def preflights(draw: Draw, cast: Cast) -> Ask:
    """What browsers ask before they ask."""
    pairs = [("Origin", draw(mostly("http://a.test", "null", "*", "é"))),
             ("Access-Control-Request-Method", draw(mostly("GET", "PUT", "X"))),
             ("Access-Control-Request-Headers", draw(st.sampled_from(["x-a, x-b", "", "é"])))]  # fmt: skip
    return draw(_ask(cast, draw(st.sampled_from(["OPTIONS", "GET"])), draw(paths), pairs))


@st.composite
def hosts(draw: Draw, cast: Cast) -> Ask:
    """Hosts below a storage domain."""
    account = cast.account.replace("_", "-")
    below = draw(st.sampled_from([f"{account}.", f"plain.{account}.", f"web.{account}.", "a.b.c.", "x.", ".", ""]))
    host = below + cast.domain + draw(st.sampled_from(["", "", ":80"]))
    path = draw(st.sampled_from(["/", "/small", "/plain/small", "/v1/x", "//", "/d", "/d/", "*"]))
    fields = ((b"Host", host.encode()), (b"X-Auth-Token", cast.tokens[0]))
    return Ask(draw(st.sampled_from([b"GET", b"HEAD", b"PUT"])), path.encode(), fields)


@st.composite
def identities(draw: Draw, cast: Cast) -> Ask:
    """Both ways to sign in, and what else identity has."""
    if draw(st.booleans()):
        fields = _fields(
            [("Host", "cloud.test"),
             ("X-Auth-User", draw(mostly("admin:admin", "admin", ":", "é:é", "a:b:c"))),
             ("X-Auth-Key", draw(mostly(cast.password, "", "x", "é", "x" * 5000)))]
        )  # fmt: skip
        path = draw(mostly(b"/auth/v1.0", b"/auth/v1", b"/auth/", b"/auth/v1.0/x"))
        return Ask(draw(mostly(b"GET", b"HEAD", b"POST")), path, fields)
    user = {"name": "admin", "domain": {"id": "default"}, "password": cast.password}
    right = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": {"name": "Default"}}},
        }
    }
    body = json.dumps(draw(spoilt_json(right))).encode()
    if not draw(st.integers(0, 15)):
        body = draw(deep_json())
    verb = draw(mostly(b"POST", b"GET", b"PATCH", b"DELETE", b"HEAD"))
    place = draw(
        mostly("auth/tokens", "users", "projects/x", "role_assignments", "", "auth/catalog", "../v3",
               "domains/default", "users?name=%ff&limit=-1", "projects?limit=x&marker=%00")
    )  # fmt: skip
    always = ((b"Host", b"cloud.test"), (b"Content-Type", b"application/json"), (b"X-Auth-Token", cast.tokens[0]))
    ask = Ask(verb, b"/identity/v3/" + place.encode(), always, body, draw(framings))
    return ask.with_fields((b"X-Subject-Token", draw(odd))) if draw(st.booleans()) else ask


_DRAWN = Drawn(0)


@st.composite
def networks(draw: Draw, cast: Cast) -> Ask:
    """Any route of the network API."""
    _DRAWN.random.seed(draw(st.integers(0, 2**32)))
    method, path, right, _, headers = _DRAWN.request()
    body = b"" if right is None else json.dumps(draw(spoilt_json(right))).encode()
    if body and not draw(st.integers(0, 15)):
        body = draw(deep_json())
    token = draw(mostly(cast.tokens[0], *cast.tokens[1:]))
    always = ((b"Host", b"cloud.test"), (b"Content-Type", b"application/json"), (b"X-Auth-Token", token))
    said = _fields([*headers.items()])
    return Ask(method.encode(), f"/network/v2.0{path}".encode(), (*always, *said), body, draw(framings))


ELSEWHERE = (
    b"/", b"/info", b"/healthcheck", b"/crossdomain.xml", b"/metrics", b"/v1", b"/v1/", b"/v2/a", b"*", b"/infoo",
    b"/v1/AUTH_home-id//", b"/v1.0/AUTH_home-id/plain", b"/v1/SERVICE_home-id/x", b"http://cloud.test/info",
    b"/v1//c/o", b"/%76%31/AUTH_home-id",
)  # fmt: skip


@st.composite
def others(draw: Draw, cast: Cast) -> Ask:
    """What else there is, and what there is not."""
    path = draw(st.sampled_from(ELSEWHERE))
    method = draw(st.sampled_from([b"GET", b"HEAD", b"OPTIONS", b"PUT", b"TRACE", b"CONNECT", b"FOO", b"get", b"PRI"]))
    fields = ((b"Host", b"cloud.test"), (b"X-Auth-Token", cast.tokens[0]), (b"X-Service-Token", cast.tokens[-1]))
    return Ask(method, path, fields, draw(small), draw(framings))


@st.composite
def mixed(draw: Draw, cast: Cast) -> Ask:
    """Headers and parameters of any features together."""
    method = draw(st.sampled_from([b"GET", b"HEAD", b"PUT", b"POST", b"DELETE", b"COPY", b"OPTIONS"]))
    path = draw(st.one_of(paths, paths, containers, st.just("")))
    query = b"&".join(draw(st.lists(st.sampled_from(PARAMETERS), max_size=3)))
    target = f"/v1/{cast.account}/{quote(path)}".encode() + (b"?" + query if query else b"")
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=5))
    always = ((b"Host", b"cloud.test"), (b"X-Auth-Token", cast.tokens[0]))
    return Ask(method, target, (*always, *fields), draw(small), draw(framings))


def requests(cast: Cast) -> st.SearchStrategy[Ask]:
    """Any of them."""
    kinds = (reading, writing, copying, listing, containing, manifests, signed_urls, forms, archives, bulk_deletes,
             preflights, hosts, identities, networks, others, mixed)  # fmt: skip
    return st.one_of([kind(cast) for kind in kinds])
