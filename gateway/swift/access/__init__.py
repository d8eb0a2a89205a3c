"""Who asks: tokens, signed URLs, hosts that name accounts, and which pages of other sites may ask."""
