"""The OAuth endpoints of auth.atlassian.com and api.atlassian.com, and the page a browser sees."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sandbox.consent import ConsentPages, json_fields
from sandbox.http import Call, Operation, Reply
from sandbox.jira import adf
from sandbox.jira.model import JiraError
from sandbox.jira.oauth import Site, resources
from sandbox.jira.site import JiraSite
from sandbox.oauth import AuthServer


class JiraConsentPages(ConsentPages):
    """Consent, tokens, the list of sites, and `/browse/{key}` for people following a link."""

    def __init__(self, oauth: AuthServer, sites: list[JiraSite]) -> None:
        super().__init__(
            oauth,
            lambda: [(u.account_id, u.display_name) for u in sites[0].users.values() if u.active],
            authorize="/authorize",
            resources=lambda: [site.cloud_id for site in sites],
        )
        self._sites = sites

    def operations(self) -> Sequence[Operation]:
        """The endpoints. Atlassian has none to revoke tokens."""
        return [
            *(operation for operation in super().operations() if operation.name != "oauth.revoke"),
            Operation("oauth.accessibleResources", "GET", "/oauth/token/accessible-resources", self.resources),
            Operation("browse", "GET", "/browse/{key}", self.browse),
        ]

    def fields(self, call: Call) -> Mapping[str, Any]:
        """Atlassian takes JSON only."""
        return json_fields(call)

    def resources(self, call: Call) -> Reply:
        """GET /oauth/token/accessible-resources."""
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        grant = self._oauth.grant_of(token) if scheme.lower() == "bearer" else None
        if grant is None:
            raise JiraError(401, "Unauthorized")
        return Reply(200, resources(grant, [Site(s.cloud_id, s.url, s.name) for s in self._sites]))

    def browse(self, call: Call) -> Reply:
        """GET /browse/{key}: a page for whoever follows a link; shows the issue to anybody."""
        site = self._sites[0]
        issue = site.find(call.params["key"])
        if issue is None:
            return Reply(404, "<!doctype html><title>Not found</title><p>No such issue.")
        rows = {
            "Status": site.statuses[issue.status].name,
            "Assignee": site.users[issue.assignee].display_name if issue.assignee else "Unassigned",
            "Labels": ", ".join(issue.labels),
            "Description": adf.plain(issue.description),
        }
        listed = "".join(f"<dt>{escape(name)}<dd>{escape(text)}" for name, text in rows.items())
        title = escape(f"[{issue.key}] {issue.summary}")
        return Reply(200, f"<!doctype html><title>{title}</title><h1>{title}</h1><dl>{listed}</dl>")
