"""The reports that long operations answer with: a status and a list of problems, as text, JSON or XML. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from gateway.swift.protocol.media_types import TYPES, best_match
from gateway.swift.protocol.request import Request

Problem = tuple[str, str]


def accepted(request: Request) -> str | None:
    """The format that the client wants, None where it wants none of ours. What cannot be read means plain text."""
    accept = request.headers.get(b"accept")
    if not accept:
        return TYPES[0]
    try:
        return best_match(accept.decode("latin-1"), TYPES)
    except ValueError:
        return TYPES[0]


def body(kind: str, report: Mapping[str, Any], problems: Sequence[Problem], root: str) -> bytes:
    """The report; `root` names the XML document."""
    if kind.endswith("json"):
        return json.dumps({**report, "Errors": problems}).encode()
    keys = sorted(report)
    if kind.endswith("xml"):
        fields = "".join(f"<{_tag(key)}>{escape(str(report[key]))}</{_tag(key)}>\n" for key in keys)
        errors = "".join(
            f"<object><name>{escape(name)}</name><status>{escape(status)}</status></object>\n"
            for name, status in problems
        )
        return f"<{root}>\n{fields}<errors>\n{errors}</errors>\n</{root}>\n".encode()
    fields = "".join(f"{key}: {report[key]}\n" for key in keys)
    errors = "".join(f"{name}, {status}\n" for name, status in problems)
    return f"{fields}Errors:\n{errors}".encode()


def _tag(key: str) -> str:
    return key.replace(" ", "_").lower()
