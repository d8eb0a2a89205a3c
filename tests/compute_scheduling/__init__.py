"""Which host a server is put on: filters, weights and what is said where there is none."""
