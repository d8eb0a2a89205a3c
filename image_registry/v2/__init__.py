"""The Image API v2 (OpenStack API reference, "Image Service API v2")."""
