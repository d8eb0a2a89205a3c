"""Machines that become one cluster: records, tokens, joins, and who is served."""
