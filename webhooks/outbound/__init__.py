"""Webhooks out: the platform's events, signed and sent to its users' endpoints, each at least once.

    event ─▶ fanout (new events × matching endpoints = messages) ─▶ sending (claim · call · settle) ─▶ endpoint
                 one statement, exactly once                           │
                                                                       └─ schedule (pure): again when, and for how long

The messages are the record: what is owed, how often it was tried, what came of it. The `webhook-id` of a message never
changes, so that a receiver can tell a repetition. Nothing is promised about the order.
"""
