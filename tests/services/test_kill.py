"""A worker killed with SIGKILL, again and again, while people edit on both sides: nothing is lost or doubled."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from tests.services.stack import PROJECT, Stack, eventually, running

EDITS = 200
KILLS = 6
SEED = 20_261_122


@pytest.fixture
def stack(postgres_url, redis_url):
    # Short leases: what a killed worker held is taken over while the test waits.
    with running("services", postgres_url, redis_url, seed_issues=20, lease_seconds=3) as made:
        made.connect(poll_seconds=5)
        yield made


def test_two_hundred_edits_on_both_sides_end_equal_although_the_worker_is_killed_at_random_moments(stack):
    chance = random.Random(SEED)
    people = Both(stack, chance)
    moments = set(chance.sample(range(10, EDITS - 10), KILLS))
    for number in range(EDITS):
        people.edit(number)
        if number in moments:
            worker = stack.processes["worker"]
            worker.kill()
            worker.start()
    eventually(lambda: not differences(stack), "both ends to be equal", timeout=90)
    assert Counter(markers(stack)).most_common(1)[0][1] == 1, "an issue was created twice"
    titles = [task["title"] for task in stack.tasks()]
    assert sorted(t for t in titles if t.startswith("New here")) == sorted(people.created)


class Both:
    """People on both sides, each edit with a value of its own."""

    def __init__(self, stack: Stack, chance: random.Random) -> None:
        self.stack, self.chance = stack, chance
        self.person = stack.sandbox.person("ann@example.com")
        self.created: list[str] = []

    def edit(self, number: int) -> None:
        """One edit, on a random side."""
        time.sleep(self.chance.uniform(0, 0.05))
        if number % 10 == 9:
            self.created.append(f"New here {number}")
            self.stack.create(self.created[-1], status=self.chance.choice(["backlog", "in_progress"]))
        elif self.chance.random() < 0.5:
            task = self.chance.choice([t for t in self.stack.tasks() if not t["title"].startswith("New here")])
            change = self.chance.choice(
                [{"title": f"Here {number}"}, {"status": self.chance.choice(["in_progress", "done", "backlog"])}]
            )
            self.stack.send("PATCH", f"/tasks/{task['id']}", change)
        else:
            issue = self.chance.choice(list(self.stack.sandbox.site.issues.values()))
            if issue.summary.startswith("New here"):
                return
            if self.chance.random() < 0.7:
                self.person.edit(issue.key, summary=f"There {number}")
            else:
                self.person.transition(issue.key, self.chance.choice(["In Progress", "Done", "To Do"]))


STATUS = {
    "To Do": "backlog",
    "In Progress": "in_progress",
    "Done": "done",
    "In Review": "in_review",
    "In QA": "in_review",
}


def differences(stack: Stack) -> list[str]:
    """What is not equal, or still owed."""
    issues = {i.key: i for i in stack.sandbox.site.issues.values() if i.key.startswith(PROJECT)}
    tasks = {task["external_id"]: task for task in stack.tasks()}
    found = [f"only on one side: {key}" for key in tasks.keys() ^ issues.keys()]
    for key in tasks.keys() & issues.keys():
        fields = stack.issue(key)
        mine = (tasks[key]["title"], tasks[key]["status"])
        theirs = (fields["summary"], STATUS.get(fields["status"]["name"], fields["status"]["name"]))
        if mine != theirs:
            found.append(f"{key}: {mine} here, {theirs} there")
    return found


def markers(stack: Stack) -> list[str]:
    """The markers of our creations in all issues."""
    return [
        label for issue in stack.sandbox.site.issues.values() for label in issue.labels if label.startswith("scrums-")
    ]
