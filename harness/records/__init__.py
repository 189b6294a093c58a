"""What everything shares: the record of a value, the machine, the report folder."""
