"""What each document says of its systems, one file a system's file: read them beside the document."""
