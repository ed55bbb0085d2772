"""The OAuth endpoints of auth.atlassian.com and api.atlassian.com, and the page a browser sees."""

from collections.abc import Sequence
from html import escape

from sandbox.http import NO_BODY, Call, Operation, Reply
from sandbox.jira import adf
from sandbox.jira.model import JiraError, Settings
from sandbox.jira.oauth import AuthServer, OAuthError, Site, consent_page, resources
from sandbox.jira.site import JiraSite


class ConsentPages:
    """Consent, tokens, the list of sites, and `/browse/{key}` for people following a link."""

    def __init__(self, oauth: AuthServer, settings: Settings, sites: list[JiraSite]) -> None:
        self._oauth = oauth
        self._settings = settings
        self._sites = sites

    def operations(self) -> Sequence[Operation]:
        """The endpoints."""
        return [
            Operation("oauth.authorize", "GET", "/authorize", self.authorize),
            Operation("oauth.token", "POST", "/oauth/token", self.token),
            Operation("oauth.accessibleResources", "GET", "/oauth/token/accessible-resources", self.resources),
            Operation("browse", "GET", "/browse/{key}", self.browse),
        ]

    def authorize(self, call: Call) -> Reply:
        """GET /authorize: consents at once, or shows a form with `interactive` or consent "form"."""
        app = self._oauth.check_request(call.query)
        people = [(u.account_id, u.display_name) for u in self._sites[0].users.values() if u.active]
        decision = call.query.get("decision")
        asks = "interactive" in call.query or self._settings.consent == "form"
        if decision is None and asks:
            return Reply(200, consent_page(app, call.query, people))
        if decision == "deny":
            return self._redirect(self._oauth.deny(call.query))
        account_id = call.query.get("as", self._oauth.consenting)
        if account_id not in self._sites[0].users:
            raise OAuthError(400, "invalid_request", f"Nobody here has the account {account_id!r}.")
        sites = [site.cloud_id for site in self._sites]
        return self._redirect(self._oauth.consent(call.query, account_id, sites))

    def _redirect(self, location: str) -> Reply:
        return Reply(302, NO_BODY, {"Location": location})

    def token(self, call: Call) -> Reply:
        """POST /oauth/token with a JSON body."""
        try:
            body = call.json()
        except ValueError as bad:
            raise OAuthError(400, "invalid_request", "The body must be JSON.") from bad
        return Reply(200, self._oauth.token(body), {"Cache-Control": "no-store"})

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
