"""The REST API under /v1: thin routers over the task service and the engine."""
