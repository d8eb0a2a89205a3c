"""Consoles of servers over a real server of HTTP."""
