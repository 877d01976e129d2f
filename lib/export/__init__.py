"""An edit for others to load."""
