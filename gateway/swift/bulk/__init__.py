"""Many objects by one request: archives taken apart, lists of names removed."""

from gateway.swift.bulk.delete import delete as delete_many
from gateway.swift.bulk.extract import put as extract_archive

__all__ = ["delete_many", "extract_archive"]
