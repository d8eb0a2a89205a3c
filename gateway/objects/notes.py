"""Notes: what the object layer keeps with accounts, containers and objects, among the headers that the store keeps.

Their names begin with a dot, so that no client's header can be one. What dialects keep of their own beside them means
nothing here. Older names of some are in `lifting.py`.
"""

from __future__ import annotations

# -- of objects

PREFIX_MANIFEST = ".prefix-manifest"
"""The object's bytes are those of all objects under this `container/prefix` (URL-quoted), as they are now."""

MANIFEST = ".manifest"
"""The object is a manifest: its bytes are a list of the segments that it stands for."""

MANIFEST_ETAG, MANIFEST_SIZE, MANIFEST_DEPTH = ".slo-etag", ".slo-size", ".slo-depth"
"""Kept with a manifest: etag and size of the whole, so that nobody reads the list for them, and how many manifests
there are within each other, this one counted."""

LINK_TARGET, LINK_ACCOUNT, LINK_ETAG, LINK_BYTES = ".link-target", ".link-account", ".link-etag", ".link-bytes"
"""Kept with a link: what it names (`container/object`), in which account if another, and etag and size where it
vouches for them."""

VERSION_ID = ".version-id"
"""Which version an object is, in a container with versions; added when it is read."""

VERSION_IS_CURRENT = ".version-is-current"
"""Added when it is read: the object is the current version, and has an id."""

SPECIAL = frozenset({PREFIX_MANIFEST, MANIFEST, LINK_TARGET})
"""Where an object has none of these (and none of their older names, `lifting.OLD_OBJECT`), its own bytes are what is
read."""

# -- of objects, as listings show them (keys of ObjectHead.listing)

LISTED_BYTES = "bytes"
"""The size that a listing shows, where it is not the object's own."""

LISTED_MANIFEST_ETAG = "slo_etag"
"""The etag of the whole that a manifest stands for."""

LISTED_LINK, LISTED_LINK_ETAG, LISTED_LINK_BYTES = "link", "link_etag", "link_bytes"
"""What a link names (`account/container/object`); its etag and size where it vouches for them."""

LISTED_VERSION, LISTED_HASH = "version", "hash"
"""The version that is the current one, and its etag."""

# -- of containers

READ_ACCESS, WRITE_ACCESS = ".read-access", ".write-access"
"""Access lists (`access/access_list.py`)."""

QUOTA_BYTES, QUOTA_COUNT = ".quota-bytes", ".quota-count"
"""What a container, or an account, may hold at most; digits. Behind them, `-policy-` and a policy's name (in lower
case) for that policy of an account alone."""

VERSIONS_LOCATION = ".versions-location"
"""The container that versions are copied to, in plain sight."""

# -- of accounts

ACCOUNT_ACCESS = ".access"
"""Whom an account is opened to (`access/account_access.py`)."""
