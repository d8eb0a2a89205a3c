"""Versions: how containers keep what their objects were before."""
