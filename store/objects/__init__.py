"""Accounts, containers and objects: rows and data across devices. Tenants import `interface` and `model`."""
