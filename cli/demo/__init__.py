"""The demo: the whole of Turnbuckle against a fake vendors, with people at work on both sides.

cast       all vendors, in one table; vendor is what they have in common, tool and host what those of a kind have
world      starts Turnbuckle and the sandboxes, makes a workspace, connects them through the public API
people     edit tasks here and issues there: at once, against each other, with webhooks that get lost
kinds      for each kind of vendor: who is at work there, and the comparison of both ends; in one table
watching   what crosses of tasks, how long it takes, what was suppressed; stream: of all else
comparing  do both ends say the same, field by field?
view       what the terminal shows while it goes on, ending what it shows at last
"""
