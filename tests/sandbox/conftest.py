"""A sandbox per test, called in-process with a clock that stands still; real HTTP where it matters."""

from collections.abc import Iterator

import pytest

from sandbox.clock import ManualClock
from sandbox.jira import JiraSandbox
from tests.sandbox.callers import Api, Inbox, gateway


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def jira(clock: ManualClock, inbox: Inbox) -> JiraSandbox:
    return JiraSandbox(clock=clock, sender=inbox, sites=2)


@pytest.fixture
def api(jira: JiraSandbox) -> Iterator[Api]:
    """The service account with its API token."""
    made = Api(jira, auth=jira.basic_auth)
    yield made
    made.close()


@pytest.fixture
def app(jira: JiraSandbox) -> Iterator[Api]:
    """The same account through an OAuth app."""
    made = gateway(jira, jira.grant()["access_token"])
    yield made
    made.close()
