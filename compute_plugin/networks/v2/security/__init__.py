"""Security groups: what may pass to and from ports."""
