"""Glance v2: images and their formats. Records are in the registry, bits in the object store; docs/images.md."""
