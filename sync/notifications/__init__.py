"""Notifications: what happens on the platform, said where people are.

    event ─▶ fanout (new events × routes that want them = messages) ─▶ sending (claim · say · settle) ─▶ channel
                 words (pure): what is said of it                        │
                                                                         ├─ saying: one message, and its thread
                                                                         └─ policy (pure): what a failure means

The messages are the record: what is owed to a channel, how often it was tried, what came of it. A message's id (NTF-*)
never changes and is in what the vendor shows, so that one whose answer was lost can be found instead of said twice. In
a channel one message comes after the other; channels do not wait for each other.
"""
