"""`/v2/metadefs`: metadata definitions, as stock Glance serves them."""
