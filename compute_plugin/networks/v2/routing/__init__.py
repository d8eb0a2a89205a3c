"""Routers, and the addresses by which servers are reached from outside."""
