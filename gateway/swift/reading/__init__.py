"""Reading objects."""

from gateway.swift.reading.get import get as get_object
from gateway.swift.reading.get import head as head_object

__all__ = ["get_object", "head_object"]
