"""Key pairs, by which servers let people in."""
