"""How good samples are: functions from arrays to floats."""
