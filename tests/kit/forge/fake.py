"""A fake Forge: a feed of what happened in each repository, and webhooks that tell most of it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sandbox.code import CodeSandbox, Deed, Deployment, Kind, Pull, Push, Repo, Review, Run
from sandbox.code.values import Commit
from sandbox.errors import VendorError
from sandbox.hooks import Hook, Sending
from sandbox.http import NO_BODY, Reply
from sandbox.vendor import Ask, Endpoint

PAGE = 100
Entry = dict[str, Any]
"""`moved` is when it came into the feed, whose order that is; `at` when it happened."""


class ForgeSandbox(CodeSandbox):
    """A Forge with two repositories."""

    name = "forge"

    def endpoints(self) -> Sequence[Endpoint]:
        """The API."""
        return [
            Endpoint("me", "GET", "/api/me", lambda ask: self._person(ask.user)),
            Endpoint("listRepositories", "GET", "/api/repositories", self._repositories),
            Endpoint("feed", "GET", "/api/repositories/{id}/feed", self._feed),
            Endpoint("putHook", "PUT", "/api/hooks", self._register),
            Endpoint("listHooks", "GET", "/api/hooks", lambda ask: [_hook(hook) for hook in self.hooks.live()]),
            Endpoint("deleteHook", "DELETE", "/api/hooks/{hook}", self._unregister),
        ]

    def _repositories(self, ask: Ask) -> Any:
        seen = [repo for repo in self.host.repos.values() if self._sees(ask, repo)]
        return [
            {"id": str(r.id), "name": r.name, "url": f"{self.url}/{r.id}", "main": r.default, "archived": r.archived}
            for r in seen
        ]

    def _sees(self, ask: Ask, repo: Repo) -> bool:
        return repo.members is None or ask.user in repo.members

    def _feed(self, ask: Ask) -> Any:
        """What came into the feed since a moment, oldest first; or all there is of some changes."""
        repo = self.host.repos.get(int(ask.params["id"]))
        if repo is None or not self._sees(ask, repo):
            raise VendorError(404, "There is no such repository.")
        changes, since = ask.call.query.get("changes"), ask.call.query.get("since", "")
        if changes is not None:
            wanted = [repo.pulls[int(n)] for n in changes.split(",") if int(n) in repo.pulls]
            return {"entries": [entry for pull in wanted for entry in self._pull(repo, pull)]}
        entries = [entry for entry in self._entries(repo) if entry["moved"] >= since]
        size = self.settings.page_limit or PAGE
        return {"entries": entries[:size], "more": len(entries) > size, "changes": len(repo.pulls)}

    def _register(self, ask: Ask) -> Any:
        body = ask.json("url", "secret")
        for hook in self.hooks.live():
            if hook.url == body["url"]:
                return _hook(self.hooks.change(hook.id, secret=body["secret"]))
        return Reply(201, _hook(self.hooks.register(body["url"], ask.user, secret=body["secret"])))

    def _unregister(self, ask: Ask) -> Any:
        self.hooks.remove(ask.params["hook"])
        return Reply(204, NO_BODY)

    def on_deed(self, deed: Deed) -> None:
        """Of a merge only its change's number is told; of a repository that something happened to it."""
        repo, body = deed.repo, {}
        if deed.kind is Kind.DISMISSED:
            repo.extra.setdefault("dismissed", {})[deed.what.id] = deed.at
        if deed.kind is Kind.MERGED:
            body = {"change": str(deed.what.number)}
        elif not deed.kind.startswith("repository"):
            pushed = isinstance(deed.what, Push)
            body = {"entries": [e for e in self._about(repo, deed.what) if pushed or e["moved"] == _iso(deed.at)]}
        told = {"repository": str(repo.id), **body}
        self.hooks.tell(deed.kind.value, lambda _hook, _delivery: told, str(repo.id))

    def sign(self, sending: Sending) -> dict[str, str]:
        """HMAC-SHA256 of the body."""
        digest = hmac.new(sending.hook.secret.encode(), sending.body, hashlib.sha256).hexdigest()
        return {"X-Forge-Id": sending.delivery_id, "X-Forge-Event": sending.event, "X-Forge-Signature": digest}

    # --- the feed -----------------------------------------------------------------------------------

    def _entries(self, repo: Repo) -> list[Entry]:
        """All of a repository, in the feed's order; kept until something happens."""
        state = (repo.updated, len(repo.pulls))
        if repo.extra.get("state") != state:
            things = [*repo.pulls.values(), *repo.deployments.values(), *repo.runs.values(), *repo.releases.values()]
            found = [entry for thing in things for entry in self._about(repo, thing)]
            found += [self._commit(repo.commits[sha], moved) for sha, moved in _arrivals(repo).items()]
            repo.extra |= {"state": state, "feed": sorted(found, key=lambda entry: str(entry["moved"]))}
        return list(repo.extra["feed"])

    def _about(self, repo: Repo, thing: Any) -> Iterator[Entry]:
        match thing:
            case Pull():
                yield from self._pull(repo, thing)
            case Review():
                yield from self._review(repo, thing)
            case Deployment() | Run():
                yield from self._states(thing)
            case _ if hasattr(thing, "tag"):
                url = f"{self.url}/releases/{thing.id}"
                yield _entry("release", thing.created, id=str(thing.id), tag=thing.tag, name=thing.name, url=url)
            case _ if thing.ref == f"refs/heads/{repo.default}":
                arrivals = _arrivals(repo)
                yield from (self._commit(repo.commits[sha], arrivals[sha]) for sha in thing.commits)

    def _pull(self, repo: Repo, pull: Pull) -> Iterator[Entry]:
        number = str(pull.number)
        first, *steps = pull.timeline
        about = {"title": pull.title, "url": f"{self.url}/{repo.id}/{number}", "branch": pull.source}
        yield _entry("opened", first.at, number=number, author=self._person(pull.author), **about)
        drafting = next((step for step in steps if step.what in ("ready", "drafted")), None)
        if drafting.what == "drafted" if drafting else not pull.draft:
            yield _entry("ready", first.at, number=number)
        elif drafting:
            yield _entry("ready", drafting.at, number=number)
        for step in steps:
            if step.what in ("closed", "reopened"):
                yield _entry(step.what, step.at, number=number)
            elif step.what == "merged":
                yield _entry("merged", step.at, number=number, **self._merge(repo, pull))
        for review in repo.reviews_of(pull.number):
            yield from self._review(repo, review)

    def _merge(self, repo: Repo, pull: Pull) -> Entry:
        commits = [repo.commits[sha] for sha in pull.commits]
        return {
            "sha": pull.merge_sha,
            "head": pull.head,
            "target": pull.target,
            "by": self._person(str(pull.closed_by)),
            "begun": _iso(min(commit.authored for commit in commits)),
            "additions": sum(commit.additions for commit in commits),
            "deletions": sum(commit.deletions for commit in commits),
            "files": len({file for commit in commits for file in commit.files}),
            "commits": len(commits),
        }

    def _review(self, repo: Repo, review: Review) -> Iterator[Entry]:
        about = {"number": str(review.number), "id": str(review.id), "author": self._person(review.author)}
        yield _entry("review", review.at, state=review.given, **about)
        if review.state == "dismissed":
            yield _entry("review", review.at, repo.extra["dismissed"][review.id], state="dismissed", **about)

    def _states(self, thing: Deployment | Run) -> Iterator[Entry]:
        id_ = str(thing.id)
        if isinstance(thing, Deployment):
            about = {"id": id_, "sha": thing.sha, "ref": thing.ref, "environment": thing.environment}
            yield _entry("deployment", thing.created, by=self._person(thing.creator), **about)
            yield from (_entry("deployment_state", moved.at, id=id_, state=moved.state) for moved in thing.states)
            return
        about = {"id": id_, "name": thing.name, "sha": thing.sha, "branch": thing.branch, "trigger": thing.trigger}
        about |= {"attempt": thing.attempt, "created": _iso(thing.created), "url": f"{self.url}/runs/{id_}"}
        yield from (_entry("run", moved.at, state=moved.state, **about) for moved in thing.states)

    def _commit(self, commit: Commit, moved: datetime) -> Entry:
        author = self._person(commit.author) if commit.author else {"id": None, "name": commit.name}
        told = {"sha": commit.sha, "message": commit.message, "authored": _iso(commit.authored)}
        return _entry("commit", commit.committed, moved, author=author, **told)

    def _person(self, user_id: str) -> dict[str, Any]:
        user = self.tracker.users[user_id]
        return {"id": user.id, "name": user.name, "email": user.email}


def _entry(kind: str, at: datetime, moved: datetime | None = None, **told: Any) -> Entry:
    return {"kind": kind, "at": _iso(at), "moved": _iso(moved or at), "told": told}


def _iso(at: datetime) -> str:
    return at.isoformat()


def _arrivals(repo: Repo) -> dict[str, datetime]:
    """When each commit of the default branch got there: those of a change with its merge."""
    merged = {sha: pull.closed for pull in repo.pulls.values() if pull.state == "merged" for sha in pull.commits}
    return {sha: merged.get(sha) or repo.commits[sha].committed for sha in repo.mainline}


def _hook(hook: Hook) -> dict[str, str]:
    return {"id": hook.id, "url": hook.url}
