"""Messages between processes: framing, handshake, requests and streams, links that break and come back, TLS.

What is sent means nothing here: a method is a name, its arguments and its answer are plain values (docs/wire.md).
"""
