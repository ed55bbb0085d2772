"""The same event, whoever tells it: webhooks and polls of one history."""

from __future__ import annotations

from connectors.contract import FINAL, CodeEvent, PipelineRan, Pushed, Reviewed, ReviewState
from tests.connectors.bitbucket.conftest import API, Bench, keyed, kinds


def story(bench: Bench) -> list[CodeEvent]:
    """A week of a team; what webhooks told of it as it went, hints resolved."""
    host, ann, bob, events = bench.host, bench.ann, bench.bob, list[CodeEvent]()
    host.push(ann, API, "main", "Begin", "Go on")
    host.push(ann, API, "feature/cart", "Add the cart", "Test the cart")
    first = host.open_pull(ann, API, "feature/cart", "The cart").number
    host.review(bob, API, first, "commented", "Hm.")
    host.review(ann, API, first, "commented", "Why?")
    host.review(bob, API, first, "changes_requested")
    events += bench.told()
    host.push(ann, API, "feature/cart", "Name it better")
    host.review(bob, API, first, "approved")
    host.merge(bob, API, first)
    run = host.run(ann, API, "build")
    host.move_run(ann, API, run.id, "running")
    events += bench.told()
    deployment = host.deploy(ann, API, "production", run=run.id)
    host.move_deployment(ann, API, deployment.id, "running")
    host.move_deployment(ann, API, deployment.id, "success")
    host.move_run(ann, API, run.id, "success")
    events += bench.told()
    host.push(bob, API, "drafted", "Try something")
    second = host.open_pull(bob, API, "drafted", "Something", draft=True).number
    host.review(ann, API, second, "commented", "Later")
    events += bench.told()
    host.set_draft(bob, API, second, draft=False)
    withdrawn = host.review(ann, API, second, "approved")
    host.dismiss(ann, API, withdrawn.id)
    host.review(ann, API, second, "approved")
    host.merge(ann, API, second, squash=True)
    host.push(bob, API, "refused", "Worse")
    host.close(ann, API, host.open_pull(bob, API, "refused", "Worse").number)
    host.push(ann, API, "rewritten", "Once", "Twice")
    host.force_push(ann, API, "rewritten", "Twice, better")
    host.push(ann, API, "main", *(f"Commit {number}" for number in range(8)))
    host.tag(ann, API, "v1")
    return events + bench.told()


def only_heard(event: CodeEvent) -> bool:
    """What no poll can know: pushes, runs before their end, and opinions that were withdrawn."""
    what = event.what
    if isinstance(what, PipelineRan):
        return what.state not in FINAL
    return isinstance(what, Pushed) or (isinstance(what, Reviewed) and what.state is ReviewState.DISMISSED)


def test_webhook_and_poll_of_the_same_history_give_equal_events(still: Bench):
    before = keyed(still.read()[0])
    still.subscribe()
    heard = keyed(story(still))
    polled = keyed(still.read()[0])
    # A withdrawn opinion is not in the activity any more.
    withdrawn = {key.removesuffix(":dismissed") for key in heard if key.endswith(":dismissed")}
    both = {key: event for key, event in heard.items() if not only_heard(event) and key not in withdrawn}
    assert {key: polled.get(key) for key in both} == both
    assert polled.keys() - heard.keys() == before.keys()
    assert len(withdrawn) == 1
    assert set(kinds(list(both.values()))) == {
        *("commit", "pull_request_opened", "pull_request_ready", "pull_request_merged", "pull_request_closed"),
        *("review_submitted", "deployment", "deployment_status", "pipeline_run"),
    }


def test_increments_bring_what_a_reading_from_the_beginning_does(still: Bench):
    still.subscribe()
    events, cursor = still.read()
    for _ in range(2):
        story(still)
        more, cursor = still.read(cursor)
        events += more
    assert keyed(events) == keyed(still.read()[0])
