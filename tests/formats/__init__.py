"""Stored samples of every format version: what was once written must be readable for ever."""
