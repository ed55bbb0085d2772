"""The conformance kit: how good a connector is, found out by running it.

`turnbuckle connectors check jira` prints the verdicts and the tier. In a connector's own tests one line does the same,
with one test case for each rule:

    test_conformance = conformance(PlankConnector, sandbox=PlankSide)
"""

from connectors.kit.testing import conformance

__all__ = ["conformance"]
