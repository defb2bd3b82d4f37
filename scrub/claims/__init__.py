"""What is claimed: pure data, without torch."""
