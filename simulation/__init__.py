"""Proof by simulation: schedules of edits and failures from a seed, run by the real engine in a world of its own."""
