"""The OpenStack Swift v1 object API, over the object layer and the store's public client: `app.SwiftApp`.

`protocol` has the forms of what comes in and goes out, `access` who asks. The other folders each serve one kind of
request and have one way in, their `__init__`: `containers` (and accounts), `reading`, `writing`, `large`, `bulk`,
`sites`, `forms`. `routes.py` chooses among them.
"""
