"""Real servers and real processes for tests and benchmarks; nothing here outlives the run that started it."""
