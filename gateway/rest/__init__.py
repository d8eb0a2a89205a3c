"""The frame of every API service: routes, bodies, lists, errors, policy. A service declares its resources in it."""
