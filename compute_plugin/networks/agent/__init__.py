"""Makes a host equal to the plan, and keeps it so.

`seen` is what is on the host, `reading` reads it; `difference` (pure) says what is to be done, in `steps`; `applying`
does that. `agent` goes round: a change of the records, or of the host (`watching`), and all of it begins again.
"""
