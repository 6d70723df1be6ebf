"""Records of the demonstration; README.md says where they come from."""
