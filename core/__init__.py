"""The platform's ground: settings, database, models, ids, vault, access, events and the task service.

Knows no vendor and no queue.
"""
