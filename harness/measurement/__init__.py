"""What a reference does, measured: bits, shapes, operations."""
