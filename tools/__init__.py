"""Programs for those who work on Turnbuckle itself."""
