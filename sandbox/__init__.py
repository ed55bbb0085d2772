"""Stateful fake vendors over real HTTP, for the demo, the tests and plugin authors.

Each vendor is a state machine, an ASGI app and a facade. The modules beside this one are the kit they are made of; a
vendor uses what it wants of it:

- every vendor: `base` (the facade), `http` (calls and replies), `clock`, `faults`, `calls`, `switches`, `webhooks`
  (the delivery queue), `control` (the endpoint for tests), `server`, `inprocess`, `recording`;
- a tracker of items: `vendor` (what to subclass), `tracker` (the store), `people` (acting on it), `auth`, `limits`,
  `hooks` (registered webhooks), `paging`, `errors`;
- `oauth` and `consent` (an authorization server), `history` (a search that lags).
"""
