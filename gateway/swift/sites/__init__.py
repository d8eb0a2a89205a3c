"""Static web sites: what containers show to browsers."""

from gateway.swift.sites.site import container, object, serves

__all__ = ["container", "object", "serves"]
