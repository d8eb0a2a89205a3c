"""Benchmarks: the same work for Drystone and for a peer on one machine in one run. See `python -m bench --help`."""
