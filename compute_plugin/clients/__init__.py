"""What servers ask of the other services of this process, each in one module. See gateway/rest/inside.py."""
