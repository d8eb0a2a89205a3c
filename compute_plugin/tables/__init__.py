"""Records in memory, equal to the registry, each change one transaction: what networks and servers stand on."""
