"""Suites of others against a fresh Drystone: Swift's own, and those of OpenStack's identity."""
