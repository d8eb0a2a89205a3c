"""`/crossdomain.xml`: which sites' Flash and Java may use this one. Old clients still ask."""

from __future__ import annotations

from gateway.swift.config import Config

PATH = b"/crossdomain.xml"
KIND = b"application/xml; charset=UTF-8"


def document(config: Config) -> bytes:
    """The policy."""
    return (
        '<?xml version="1.0"?>\n'
        '<!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd" >\n'
        f"<cross-domain-policy>\n{config.cross_domain_policy}\n</cross-domain-policy>"
    ).encode()
