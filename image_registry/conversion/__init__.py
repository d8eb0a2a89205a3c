"""From the bytes of an image to a volume (`seal`), and from a volume to an image (`export`)."""
