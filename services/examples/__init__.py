"""Short programs that use a network as a bank or a tax agency would; run as tests."""
