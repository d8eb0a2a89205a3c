"""What servers ask at 169.254.169.254 and fe80::a9fe:a9fe: `serving` hears them, `asking` says who asks, `answers` what
is known of a server from its port alone."""
