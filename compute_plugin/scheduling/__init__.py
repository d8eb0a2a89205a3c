"""Which host a server is put on: a pure function of the records and of what hosts say (`choice`), by filters and
weights. What is chosen is claimed in the same change of the records, so no host is ever overbooked."""
