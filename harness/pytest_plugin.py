"""Where the plugin was until 0.1: an installed gan-harness of then still registers this, and finds nothing."""
