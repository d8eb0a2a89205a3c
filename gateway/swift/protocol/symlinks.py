"""Symlinks as headers name them."""

from __future__ import annotations

import re

from gateway.objects.links import Link
from gateway.swift.protocol.conditions import unquoted
from gateway.swift.protocol.errors import PLAIN, RefusedError, bad_request
from gateway.swift.protocol.paths import account_header, path_header
from gateway.swift.protocol.request import Request

TARGET, ACCOUNT, ETAG = b"x-symlink-target", b"x-symlink-target-account", b"x-symlink-target-etag"
_FORM = "X-Symlink-Target header must be of the form <container name>/<object name>"
_UNFIT_ETAG = re.compile(r'[;"\\]')


def named(request: Request, source: Link | None = None) -> Link:
    """What the headers name, over what a copied link does. Raises RefusedError (400, 412)."""
    account = account_header(request, ACCOUNT) or (source.account if source else "")
    if request.headers.get(TARGET) or source is None:
        if (request.header(TARGET) or "").startswith(("/", "%2F", "%2f")):
            raise RefusedError(412, _FORM, kind=PLAIN)
        container, name = path_header(request, TARGET, "X-Symlink-Target")
    else:
        container, name = source.container, source.object
    etag = (request.header(ETAG) or "").strip()
    etag = unquoted(etag) if etag else source.etag if source else ""
    if _UNFIT_ETAG.search(etag):
        raise bad_request("Bad X-Symlink-Target-Etag format")
    if (account or request.account, container, name) == (request.account, request.container, request.object):
        raise bad_request("Symlink cannot target itself")
    return Link(account, container, name, etag)
