"""What other services have, as clients of before 2.36 ask for it here: images, networks, volumes."""
