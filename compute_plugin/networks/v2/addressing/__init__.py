"""Subnets, and where their prefixes come from."""
