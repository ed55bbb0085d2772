"""The world a new Jira sandbox starts with: people, two projects with different workflows, issues."""

from datetime import timedelta
from random import Random

from sandbox.jira import adf
from sandbox.jira.model import (
    ApiToken,
    Issue,
    IssueType,
    Named,
    Project,
    Status,
    Transition,
    User,
    Workflow,
)
from sandbox.jira.site import JiraSite

# The account integrations connect as. Its profile zone differs from the site's offset on purpose.
SERVICE_ACCOUNT = "5c5f880629be9642ba529340"
SERVICE_EMAIL = "sync@example.com"
SERVICE_TOKEN = "sandbox-api-token"

USERS = (
    User(SERVICE_ACCOUNT, "Sync Service", SERVICE_EMAIL, "America/New_York"),
    User("5b10ac8d82e05b22cc7d4e01", "Ann Archer", "ann@example.com", "Europe/Paris", admin=True),
    User("5b10ac8d82e05b22cc7d4e02", "Bob Baker", "bob@example.com", "Asia/Kolkata"),
    User("5b10ac8d82e05b22cc7d4e03", "Cleo Carter", "cleo@example.com", email_visible=False),
    User("5b10ac8d82e05b22cc7d4e04", "Dan Departed", "dan@example.com", active=False),
    User("557058:f58131cb-b67d-43c7-b30d-6b58d40bd077", "Automation", "", account_type="app"),
)
STATUSES = (
    Status("10000", "To Do", "new"),
    Status("3", "In Progress", "indeterminate"),
    Status("10001", "In Review", "indeterminate"),
    Status("10002", "Done", "done"),
    Status("10003", "Won't Do", "done"),
    Status("10004", "In QA", "indeterminate"),
)
PRIORITIES = (
    Named("1", "Highest"),
    Named("2", "High"),
    Named("3", "Medium"),
    Named("4", "Low"),
    Named("5", "Lowest"),
)
RESOLUTIONS = (
    Named("10000", "Done"),
    Named("10001", "Won't Do"),
    Named("10002", "Duplicate"),
    Named("10003", "Cannot Reproduce"),
)
ISSUE_TYPES = (
    IssueType("10001", "Story"),
    IssueType("10002", "Task"),
    IssueType("10003", "Sub-task", subtask=True),
    IssueType("10004", "Bug"),
)
# Any status from any other, as in a team that never configured its board.
OPEN_WORKFLOW = Workflow(
    "Software Simplified Workflow",
    ("10000", "3", "10001", "10002", "10003"),
    (
        Transition("11", "To Do", "10000"),
        Transition("21", "In Progress", "3"),
        Transition("31", "In Review", "10001"),
        Transition("41", "Done", "10002", sets_resolution="10000"),
        Transition("51", "Won't Do", "10003", sets_resolution="10001"),
    ),
)
# One way through, and closing asks for a resolution.
STRICT_WORKFLOW = Workflow(
    "Operations Workflow",
    ("10000", "3", "10004", "10002"),
    (
        Transition("111", "Start", "3", frozenset({"10000"})),
        Transition("121", "Hand to QA", "10004", frozenset({"3"})),
        Transition("131", "Back to work", "3", frozenset({"10004"})),
        Transition("141", "Close", "10002", frozenset({"3", "10004"}), requires=("resolution",)),
        Transition("151", "Reopen", "10000", frozenset({"10002"})),
    ),
)
FULL_SCREEN = frozenset({"priority", "assignee", "reporter", "labels", "duedate", "parent"})
PROJECTS = (
    Project(
        "10000",
        "APEX",
        "Apex Platform",
        OPEN_WORKFLOW,
        tuple(t.id for t in ISSUE_TYPES),
        USERS[1].account_id,
        FULL_SCREEN,
    ),
    Project(
        "10001",
        "OPS",
        "Operations",
        STRICT_WORKFLOW,
        ("10002", "10003"),
        USERS[2].account_id,
        # No priority and no due date here: a create that sends them is refused, field by field.
        FULL_SCREEN - {"priority", "duedate"},
    ),
)
# So that keys look lived-in and their number never equals the issue's id.
FIRST_NUMBER = {"10000": 1000, "10001": 0}

_VERBS = ("Fix", "Add", "Remove", "Document", "Speed up", "Rework", "Test", "Monitor")
_THINGS = ("login", "billing export", "search page", "audit trail", "nightly job", "webhook retries")
_LABELS = ("backend", "frontend", "debt", "customer", "security")


def build_world(site: JiraSite) -> None:
    """Fill an empty site with the people, statuses and projects above."""
    site.users = {user.account_id: user for user in USERS}
    site.tokens = [ApiToken(SERVICE_ACCOUNT, SERVICE_TOKEN)]
    site.statuses = {status.id: status for status in STATUSES}
    site.priorities = {priority.id: priority for priority in PRIORITIES}
    site.default_priority = "3"
    site.resolutions = {resolution.id: resolution for resolution in RESOLUTIONS}
    site.issue_types = {kind.id: kind for kind in ISSUE_TYPES}
    site.projects = {project.id: project for project in PROJECTS}
    site.start_numbers(FIRST_NUMBER)


def plant_issues(site: JiraSite, count: int, rng: Random, project_key: str = "APEX") -> list[Issue]:
    """Put `count` issues in place, the last updated just now, one minute apart; no webhooks."""
    project = site.project(project_key)
    people = [None, *(user.account_id for user in site.assignable(project))]
    now = site.clock.now()
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    planted = []
    for index in range(count):
        updated = now - timedelta(minutes=count - index)
        status = rng.choice(project.workflow.statuses)
        done = site.statuses[status].category == "done"
        issue = Issue(
            id=site.next_id("issue"),
            key=site.next_key(project),
            project=project.id,
            issuetype=rng.choice([t for t in project.issue_types if not site.issue_types[t].subtask]),
            status=status,
            summary=f"{rng.choice(_VERBS)} the {rng.choice(_THINGS)}",
            created=updated - timedelta(days=rng.randrange(1, 90)),
            updated=updated,
            creator=project.lead,
            reporter=project.lead,
            description=adf.accept(adf.document("What is wanted, and why."), rng),
            priority=rng.choice(list(site.priorities)) if "priority" in project.screen else None,
            assignee=rng.choice(people),
            labels=tuple(rng.sample(_LABELS, rng.randrange(3))),
            resolution="10000" if done else None,
            resolutiondate=updated if done else None,
        )
        site.plant(issue)
        planted.append(issue)
    return planted
