"""Consoles of servers, wherever their hosts are."""
