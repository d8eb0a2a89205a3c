"""Twins: small in-memory forms of the contracts, kept by the same suites as the real ones."""
