"""pytest: plugin, settings, session, profiles."""
