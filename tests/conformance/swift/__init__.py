"""Swift's own functional suite against a fresh Drystone: `make conformance`."""
