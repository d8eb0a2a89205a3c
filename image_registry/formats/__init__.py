"""What a disk image is, by its content and never by what is said of it. docs/images-formats.md has all rules."""
