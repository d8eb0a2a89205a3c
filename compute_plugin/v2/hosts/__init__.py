"""Hosts, as administrators see them: services, hypervisors, aggregates and zones."""
