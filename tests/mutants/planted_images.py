"""Mistakes in the image registry that somebody thought of, as in `planted`."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import planted

_METADEFS: Final = "tests/image_registry/test_metadefs.py"
_LOCATIONS: Final = "tests/image_registry/test_locations.py"
_WEB: Final = "tests/image_registry/test_web_source.py"
_CRASHES: Final = "tests/image_registry/test_crashes.py"
_PROTECTION: Final = "tests/image_registry/test_protection.py"
_HOSTILE: Final = "tests/image_registry/test_hostile_routes.py"

IMAGES: Final = [
    planted(
        "a namespace written over by another's change",
        "image_registry/metadefs/definitions.py",
        "[Compare.unchanged(item.key, item.mod_revision)], []",
        "[Compare.exists(item.key)], []",
        _METADEFS,
    ),
    planted(
        "a namespace renamed over another",
        "image_registry/metadefs/definitions.py",
        "                compares.append(Compare.absent(put.key))\n",
        "",
        _METADEFS,
    ),
    planted(
        "a renamed namespace that stays under its old name",
        "image_registry/metadefs/definitions.py",
        "                operations.append(Delete(item.key))\n",
        "",
        _METADEFS,
    ),
    planted(
        "a namespace without an end",
        "image_registry/metadefs/definitions.py",
        "    if len(value) > NAMESPACE_BYTES_MAX:",
        "    if not value:",
        _METADEFS,
    ),
    planted(
        "a private namespace told to others",
        "image_registry/v2/metadefs/access.py",
        "    if not await is_seen(call, namespace):\n",
        "    if not namespace.name:\n",
        _METADEFS,
    ),
    planted(
        "a protected namespace deleted",
        "image_registry/v2/metadefs/namespaces.py",
        "delete(namespace.name, refuse_protected)",
        "delete(namespace.name, lambda _: None)",
        _METADEFS,
    ),
    planted(
        "properties in objects as they come",
        "image_registry/v2/metadefs/said.py",
        '    check_inner_properties(said.get("properties", {}))\n',
        "",
        _METADEFS,
    ),
    planted(
        "an object as young as its last change",
        "image_registry/metadefs/definitions.py",
        "    after = replace(definition, created_us=before.created_us)\n",
        "    after = replace(definition, created_us=definition.updated_us + 0 * before.created_us)\n",
        _METADEFS,
    ),
    planted(
        "bits of a location that are not what was said",
        "image_registry/importing.py",
        'if wanted and digest.hexdigest() != wanted["os_hash_value"].lower():',
        "if wanted and not digest.hexdigest():",
        _LOCATIONS,
    ),
    planted(
        "an endless image fetched",
        "image_registry/importing.py",
        "            if count > most:\n",
        "            if count < most < 0:\n",
        _LOCATIONS,
    ),
    planted(
        "a location told to whoever sees the image",
        "image_registry/v2/locations.py",
        'call.found("fetch_image_location")',
        "call.found()",
        _LOCATIONS,
    ),
    planted(
        "an address looked at, and the name resolved again",
        "image_registry/web_source.py",
        "connect_tcp(str(addresses[0]), port,",
        "connect_tcp(host if addresses else host, port,",
        _WEB,
    ),
    planted(
        "one good address of a name enough",
        "image_registry/web_source.py",
        "if not all(is_allowed(address, attached)",
        "if not any(is_allowed(address, attached)",
        _WEB,
    ),
    planted(
        "site-local addresses fetched from",
        "image_registry/web_source.py",
        "        if address.is_site_local:",
        "        if address.is_unspecified:",
        _WEB,
    ),
    planted(
        "a redirect not looked at",
        "image_registry/web_source.py",
        "self._answered(pool, self.check(uri))",
        "self._answered(pool, uri)",
        _WEB,
    ),
    planted(
        "bits of a deleted image left behind",
        "image_registry/images.py",
        "        operations += [doomed(bits) for bits in stored]\n",
        "",
        _CRASHES,
    ),
    planted(
        "a copy made twice",
        "image_registry/importing.py",
        "            if any(copy.store == store for copy in found.image.copies):\n",
        "            if not store:\n",
        _CRASHES,
    ),
    planted(
        "an import that is done taken for one that failed",
        "image_registry/importing.py",
        'return image.task != task.id and bool(there) and there.issuperset(task.arguments["backend"])\n',
        'return image.task != task.id and not there and not task.arguments["backend"]\n',
        _CRASHES,
    ),
    planted(
        "the volume of a dead process filled further",
        "image_registry/sealing.py",
        "            await self._forget(name)\n            await self._fill",
        "            await self._fill",
        _CRASHES,
    ),
    planted(
        "a property shown to those who may not read it",
        "image_registry/v2/view.py",
        " if allowed(name, READ)},",
        " if name},",
        _PROTECTION,
    ),
    planted(
        "a property changed by those who may not",
        "image_registry/v2/images.py",
        "_require_right(allowed, name, UPDATE if is_told else CREATE)",
        "_require_right(allowed, name, CREATE)",
        _PROTECTION,
    ),
    planted(
        "a hidden property told by how its removal is refused",
        "image_registry/v2/images.py",
        "name in image.properties and allowed(name, READ)",
        "name in image.properties",
        _PROTECTION,
    ),
    planted(
        "what no pattern is found in is everybody's",
        "image_registry/protection.py",
        "            if found is None:\n                return False\n",
        "            if found is None:\n                return True\n",
        _PROTECTION,
    ),
    planted(
        "requests without a token looked into",
        "image_registry/v2/app.py",
        "        await call.credentials()\n        return await handler(call)",
        "        return await handler(call)",
        _HOSTILE,
    ),
    planted(
        "half a surrogate pair kept",
        "image_registry/v2/body.py",
        "        json.dumps(parsed, ensure_ascii=False).encode()\n",
        "        json.dumps(parsed).encode()\n",
        _HOSTILE,
        _METADEFS,
    ),
]
