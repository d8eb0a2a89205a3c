"""Accounts and containers: what they hold, page by page, and what is said of them."""

from gateway.swift.containers import account, container

__all__ = ["account", "container"]
