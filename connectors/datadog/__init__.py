"""Datadog: so far only its webhook scheme."""
