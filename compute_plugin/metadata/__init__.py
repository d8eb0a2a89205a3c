"""What a server is told of itself: the documents (`documents`, `network_data`, `ec2`), the drive that holds them
(`config_drive`), and who answers at 169.254.169.254 (`answers`)."""
