"""Stateful fake vendors over real HTTP, for the demo, the tests and plugin authors.

Each vendor is a package with a state machine, an ASGI app and a facade; the modules beside this
one are shared by all of them: clock, faults, call log, webhook delivery, control endpoint, server.
"""
