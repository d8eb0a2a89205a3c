"""What servers are to be, and what there is besides them, in memory and in the registry."""
