"""What networks are to be, as the registry keeps it: facts alone.

`network`, `port`, `security`, `router` and `sharing` are the nouns, `records` all of them in memory; `store` keeps that
equal to the registry and changes it; `states` is what agents say of themselves.
"""
