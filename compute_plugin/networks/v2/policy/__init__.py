"""Who may do what with networks: `table` is all of it, each kind of resource has its lines."""
