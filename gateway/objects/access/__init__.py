"""Who may do what: access lists of containers and accounts, and whoever asks."""
