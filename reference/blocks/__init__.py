"""What a document itself shares between its systems."""
