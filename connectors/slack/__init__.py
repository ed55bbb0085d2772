"""Slack: so far only its webhook scheme."""
