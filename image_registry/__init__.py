"""Images: what they are, who may have them, and how they become volumes."""
