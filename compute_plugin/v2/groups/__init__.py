"""Server groups, which put servers together or apart."""
