"""What a reference is: its card, its contract, and how it is found by name."""
