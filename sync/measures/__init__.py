"""Measures: series of numbers and quality gates, read and kept."""
