"""Placement's API."""
