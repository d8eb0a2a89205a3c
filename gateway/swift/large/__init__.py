"""Static large objects: their manifests written, and removed together with their segments."""

from gateway.swift.large.delete import delete as delete_large
from gateway.swift.large.put import put as put_large
from gateway.swift.large.put import put_manifest

__all__ = ["delete_large", "put_large", "put_manifest"]
