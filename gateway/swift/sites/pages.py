"""The pages of static web sites: a listing (in slices, as all listings), and the word that there is none. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import islice
from urllib.parse import quote

from gateway.objects.slices import SLICE
from gateway.swift.protocol.dates import iso
from store.objects.model import ObjectEntry, Subdir

Entry = ObjectEntry | Subdir

_STYLE = """  <style type="text/css">
   body {font-family: sans-serif;}
   h1 {font-size: 1em;}
   th, td {text-align: left; padding: 0 1em;}
   a {text-decoration: none;}
  </style>
"""
_FOOT = " </body>\n</html>\n"


def stylesheet(css: str, prefix: str) -> str:
    """Where the style of a page at this depth is: from the container's root, unless it says where on its own."""
    if css.startswith(("/", "http://", "https://")):
        return quote(css, safe=":/")
    return "../" * prefix.count("/") + quote(css)


def _page(title: str, css: str, prefix: str, body: str) -> bytes:
    return (_head(title, css, prefix) + body + _FOOT).encode()


def _head(title: str, css: str, prefix: str) -> str:
    style = f'  <link rel="stylesheet" type="text/css" href="{stylesheet(css, prefix)}" />\n' if css else _STYLE
    return f"<!DOCTYPE html>\n<html>\n <head>\n  <title>{escape(title)}</title>\n{style} </head>\n <body>\n"


def listing(
    label: str, entries: Sequence[Entry], prefix: str, css: str, *, parent: bool, query: str = ""
) -> Iterator[bytes]:
    """What is below `prefix`, directories first, slice by slice. `query` goes with every link, so that a signed one
    leads on."""
    title = f"Listing of {label}"
    up = _row("subdir", "../", "../", "", "", query, id="parent") if parent else ""
    first = (
        f'  <h1 id="title">{escape(title)}</h1>\n  <table id="listing">\n   <tr id="heading">\n'
        '    <th class="colname">Name</th>\n    <th class="colsize">Size</th>\n    <th class="coldate">Date</th>\n'
        f"   </tr>\n{up}"
    )
    rows = _rows(entries, len(prefix), query)
    yield (_head(title, css, prefix) + first + "".join(islice(rows, SLICE))).encode()
    while some := "".join(islice(rows, SLICE)):
        yield some.encode()
    yield f"  </table>\n{_FOOT}".encode()


def _rows(entries: Sequence[Entry], start: int, query: str) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, Subdir):
            yield _row("subdir", entry.name[start:], entry.name[start:], "", "", query)
    for entry in entries:
        if isinstance(entry, ObjectEntry):
            kind = " ".join(f"type-{escape(part.strip().lower())}" for part in entry.content_type.split("/"))
            when = iso(entry.changed).partition(".")[0].replace("T", " ")
            size = human(int(entry.listing.get("bytes", entry.size)))
            yield _row(kind, entry.name[start:], entry.name[start:], size, when, query)


def _row(kind: str, link: str, name: str, size: str, when: str, query: str, id: str = "") -> str:
    href = link if id else f"./{quote(link)}"
    label = f' id="{id}"' if id else ""
    return (
        f'   <tr{label} class="item {kind}">\n    <td class="colname"><a href="{href}{query}">{escape(name)}</a></td>\n'
        f'    <td class="colsize">{size or "&nbsp;"}</td>\n    <td class="coldate">{when or "&nbsp;"}</td>\n   </tr>\n'
    )


def disabled(label: str, index: str, prefix: str, css: str) -> bytes:
    """There is no index here, and listings are not wanted."""
    body = (
        "  <h1>Web Listing Disabled</h1>\n"
        "  <p>The owner of this site shows no listings. X-Container-Meta-Web-Listings switches them on.</p>\n"
    )
    if index:
        body += f"  <p>Nor is there an index here, which would be named {escape(index)}.</p>\n"
    return _page(f"Listing of {label}", css, prefix, body)


def human(size: int) -> str:
    """A size as people read it: `12`, `3Ki`, `4Mi`."""
    value, suffixes = float(size), iter("KMGTPEZY")
    suffix = ""
    while value >= 1024 and suffix != "Y":
        value, suffix = round(value / 1024), next(suffixes)
    return f"{value:.0f}{suffix}i" if suffix else str(size)
