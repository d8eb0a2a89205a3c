"""Mutation testing: small mistakes are made in a copy of the tree, and some test must notice each."""
