"""What became of code, counted from the stream of events; every row can be made anew from it (`intelligence.facts`).

Each row's `id` is the repository's with the vendor's number or id behind it. What no event told yet is None. The rows
stay when an integration is disconnected.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


def _by(table: str, *columns: str) -> Index:
    """An index whose name has the table once: PostgreSQL's names end at 63 characters."""
    return Index(f"ix_{table}_{'_'.join(columns)}", *columns)


class CodeFact(Base):
    """What all of them have: whose they are, and what they are of."""

    __abstract__ = True

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(Text)
    integration_id: Mapped[str] = mapped_column(Text)
    repository_id: Mapped[str] = mapped_column(Text)


class CodeChange(CodeFact):
    """A pull or merge request.

    ready_at          when it was first ready for review
    first_commit_at   the author's time of its earliest commit, as told when it was merged
    first_review_at   the first review of somebody else who is no bot, of those that were not dismissed
    closed_at         closed without being merged, and not reopened since; `last_closed_at` and `last_reopened_at` are
                      what it is made of
    """

    __tablename__ = "code_change"
    __table_args__ = (
        _by("code_change", "workspace_id", "merged_at"),
        _by("code_change", "repository_id", "merged_at"),
    )

    number: Mapped[str] = mapped_column(Text)
    title: Mapped[str | None] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(Text)
    author_id: Mapped[str | None] = mapped_column(Text)
    author_name: Mapped[str | None] = mapped_column(Text)
    is_bot: Mapped[bool | None]
    source_branch: Mapped[str | None] = mapped_column(Text)
    target_branch: Mapped[str | None] = mapped_column(Text)
    opened_at: Mapped[datetime | None]
    ready_at: Mapped[datetime | None]
    first_commit_at: Mapped[datetime | None]
    first_review_at: Mapped[datetime | None]
    merged_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    last_closed_at: Mapped[datetime | None]
    last_reopened_at: Mapped[datetime | None]
    merge_sha: Mapped[str | None] = mapped_column(Text)
    head_sha: Mapped[str | None] = mapped_column(Text)
    additions: Mapped[int | None]
    deletions: Mapped[int | None]
    changed_files: Mapped[int | None]
    commits: Mapped[int | None]


class CodeReview(CodeFact):
    """A review of a change. `state` is what was said when it was submitted; a dismissed one counts no more."""

    __tablename__ = "code_review"
    __table_args__ = (_by("code_review", "change_id"),)

    change_id: Mapped[str] = mapped_column(Text)
    author_id: Mapped[str | None] = mapped_column(Text)
    author_name: Mapped[str | None] = mapped_column(Text)
    is_bot: Mapped[bool | None]
    state: Mapped[str | None] = mapped_column(Text)
    dismissed: Mapped[bool]
    at: Mapped[datetime | None]


class CodeDeployment(CodeFact):
    """A deployment. `state` is the one it came to last, final ones before others; `state_at` when."""

    __tablename__ = "code_deployment"
    __table_args__ = (
        _by("code_deployment", "workspace_id", "finished_at"),
        Index(
            "ix_code_deployment_repository_id_environment_finished_at", "repository_id", "environment", "finished_at"
        ),
        _by("code_deployment", "integration_id", "environment"),
    )

    sha: Mapped[str | None] = mapped_column(Text)
    ref: Mapped[str | None] = mapped_column(Text)
    environment: Mapped[str | None] = mapped_column(Text)
    tier: Mapped[str | None] = mapped_column(Text)
    is_production: Mapped[bool]
    state: Mapped[str | None] = mapped_column(Text)
    state_at: Mapped[datetime | None]
    created_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class CodePipelineRun(CodeFact):
    """A pipeline run as its highest attempt left it."""

    __tablename__ = "code_pipeline_run"
    __table_args__ = (
        _by("code_pipeline_run", "workspace_id", "finished_at"),
        _by("code_pipeline_run", "repository_id", "finished_at"),
    )

    attempt: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    state_at: Mapped[datetime]
    sha: Mapped[str] = mapped_column(Text)
    branch: Mapped[str | None] = mapped_column(Text)
    trigger: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class CodeCommit(CodeFact):
    """A commit on the default branch."""

    __tablename__ = "code_commit"
    __table_args__ = (
        _by("code_commit", "workspace_id", "committed_at"),
        _by("code_commit", "repository_id", "committed_at"),
    )

    sha: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    author_id: Mapped[str | None] = mapped_column(Text)
    author_name: Mapped[str | None] = mapped_column(Text)
    is_bot: Mapped[bool | None]
    authored_at: Mapped[datetime | None]
    committed_at: Mapped[datetime]


class CodeRelease(CodeFact):
    """A published release."""

    __tablename__ = "code_release"
    __table_args__ = (_by("code_release", "workspace_id", "released_at"),)

    tag: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    prerelease: Mapped[bool]
    released_at: Mapped[datetime]
