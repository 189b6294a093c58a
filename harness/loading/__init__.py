"""How fast data come: disks, formats, workers."""
