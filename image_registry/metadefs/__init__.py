"""Metadata definitions: what an operator says that properties of images, flavors and volumes mean."""
