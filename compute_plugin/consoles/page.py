"""What browsers are given: a page, and noVNC, which the page shows a screen by.

noVNC is the package of npm as it is (`novnc-1.7.0.tgz`, MPL 2.0; its licences are within), served out of the archive.
"""

from __future__ import annotations

import hashlib
import tarfile
from functools import cache
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Final

ARCHIVE: Final = Path(__file__).with_name("novnc-1.7.0.tgz")
SHA256: Final = "32689f18d6abe96bc6530828a6bd0b9ae33bda07c083a6575ed255b5a8f2e903"
"""Of the archive, as npm has it."""
SERVED: Final = ("core/", "vendor/")
"""Of the archive, by how paths begin; only scripts of these."""

SECURITY: Final = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
)
"""Headers of what a browser shows. The page's address has a token: it is told to nobody."""

PAGE: Final = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>noVNC: a server's console</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="page.css">
<script type="module" src="page.js"></script>
</head>
<body>
<p id="status" role="status">Connecting ...</p>
<div id="screen"></div>
</body>
</html>
"""
STYLE: Final = b"""html, body { margin: 0; height: 100%; background: #282828; color: #ddd; font: 14px sans-serif; }
body { display: flex; flex-direction: column; }
#status { margin: 0; padding: 6px 12px; }
#screen { flex: 1; min-height: 0; }
"""
SCRIPT: Final = b"""import RFB from './novnc/core/rfb.js';

const status = document.getElementById('status');
const say = (text) => { status.textContent = text; };
const path = new URLSearchParams(window.location.search).get('path') || '';
const token = new URLSearchParams(path.substring(path.indexOf('?'))).get('token') || '';
const url = new URL('websockify', window.location.href);
url.protocol = url.protocol.replace('http', 'ws');
url.search = new URLSearchParams({ token }).toString();

const rfb = new RFB(document.getElementById('screen'), url.toString(), { wsProtocols: ['binary'] });
rfb.scaleViewport = true;
rfb.addEventListener('connect', () => say('Connected.'));
rfb.addEventListener('desktopname', (event) => { document.title = event.detail.name + ' - noVNC'; });
rfb.addEventListener('disconnect', () => say('Disconnected. A link opens a console once: ask for another.'));
"""


@cache
def scripts() -> dict[str, bytes]:
    """noVNC's, by their paths in the package. Raises ValueError where the archive is not what it was."""
    packed = ARCHIVE.read_bytes()
    if hashlib.sha256(packed).hexdigest() != SHA256:
        raise ValueError(f"{ARCHIVE.name} is not what was published")
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        for member in archive:
            name = member.name.removeprefix("package/")
            if member.isfile() and name.startswith(SERVED) and name.endswith(".js"):
                file = archive.extractfile(member)
                assert file is not None
                found[name] = file.read()
    return found
