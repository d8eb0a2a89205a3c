"""Tests of the NBD server: the pure core, hostile clients, and stock ones."""
