"""Trunks: several networks through one port."""
