"""The command line: what an operator types. Commands work on the database of this host; only the demo uses the API."""
