"""Flavors: their list, who may use them, and what is said of them besides their sizes."""
