"""What a step holds: estimated without a GPU, measured on one."""
