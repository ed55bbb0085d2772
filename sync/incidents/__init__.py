"""Incidents: what alerts amount to, kept, told and changed by hand."""
