"""The forms of the Swift API: what requests say, and how answers say it."""
