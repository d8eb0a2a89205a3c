"""Servers over the compute API, with agents of hosts over hypervisors in memory."""
