"""QoS policies: how fast ports may be, and how their packets are marked."""
