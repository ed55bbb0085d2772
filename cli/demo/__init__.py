"""The demo: the whole of Turnbuckle against a fake vendor, with people at work on both sides.

world      starts Turnbuckle and the sandbox, makes a workspace, connects the two through the public API
people     edit tasks here and issues there: at once, against each other, with webhooks that get lost
watching   what crosses, how long it takes, what was suppressed
comparing  do both ends say the same, field by field?
view       what the terminal shows
"""
