"""Mixed load against a model of what must be there, for as long as one likes: `make soak MINUTES=30`."""
