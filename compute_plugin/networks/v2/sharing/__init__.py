"""Who may use what is another project's."""
