"""Who may do what: stock Nova's defaults."""
