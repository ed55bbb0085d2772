"""A fake Linear: its GraphQL API, webhooks and OAuth, as a state machine.

`schema` (what documents may ask for, and what they cost) and `api` (what is answered) are its two halves; `sandbox` is
the facade.
"""

from sandbox.linear.sandbox import LinearSandbox, LinearSwitches

__all__ = ["LinearSandbox", "LinearSwitches"]
