"""Judges histories: whether what clients saw of one object could have come of one copy of it."""
