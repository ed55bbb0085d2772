"""What we hold of a code host, and whether it is what is there."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import func, select

from cli.demo.host import CodeHostTool
from cli.demo.outcome import Outcome
from cli.demo.world import Connected, World
from core.models import CodeChange, CodeDeployment, CodeReview, Event, Repository


def check(world: World, one: Connected[CodeHostTool]) -> Outcome:
    """Changes by their state, reviews and deployments, counted on both sides."""
    here, there = held_here(world, one.integration_id), one.vendor.held()
    with world.runtime.db.read() as session:
        repositories = session.scalar(
            select(func.count(Repository.id)).where(Repository.integration_id == one.integration_id)
        )
        live = session.scalar(select(func.count(Event.id)).where(Event.actor == one.integration_id, ~Event.backfilled))
    counts = ", ".join(f"{number} {name}" for name, number in sorted(there.items()))
    differences = [
        f"{name}: here {here[name]}, there {there[name]}" for name in sorted(here | there) if here[name] != there[name]
    ]
    return Outcome(f"{repositories} repositories, {live} events live", counts, differences)


def held_here(world: World, mine: str) -> Counter[str]:
    """What our facts say there is: the same counts as `CodeHostTool.held`."""
    with world.runtime.db.read() as session:
        ends = session.execute(
            select(CodeChange.merged_at, CodeChange.closed_at).where(
                CodeChange.integration_id == mine, CodeChange.opened_at.is_not(None)
            )
        ).all()
        numbers = {
            "reviews": session.scalar(select(func.count(CodeReview.id)).where(CodeReview.integration_id == mine)),
            "deployments": session.scalar(
                select(func.count(CodeDeployment.id)).where(CodeDeployment.integration_id == mine)
            ),
        }
    states = Counter(f"{'merged' if merged else 'closed' if closed else 'open'} changes" for merged, closed in ends)
    return states + Counter({name: number or 0 for name, number in numbers.items()})
