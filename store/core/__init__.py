"""The few nouns that all rooms share, and the seams to the world. Knows nobody."""
