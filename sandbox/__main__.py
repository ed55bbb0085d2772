"""Run a fake vendor: `python -m sandbox jira --port 8801 --seed-issues 50`."""

import argparse
from pathlib import Path

from sandbox.jira import CLIENT_ID, CLIENT_SECRET, JiraSandbox, Settings
from sandbox.linear import LinearSandbox
from sandbox.server import DEFAULT_HOST, serve_forever
from sandbox.vendor import API_TOKEN, TrackerSandbox

TRACKERS: dict[str, type[TrackerSandbox]] = {"linear": LinearSandbox}
"""The vendors made of the kit's tracker."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Stateful fake vendors.")
    vendors = parser.add_subparsers(dest="vendor", required=True)
    jira = vendors.add_parser("jira", help="a fake Jira Cloud")
    _usual(jira)
    jira.add_argument("--sites", type=int, default=1, help="sites one consent covers")
    for name in TRACKERS:
        _usual(vendors.add_parser(name, help=f"a fake {name.title()}"))
    return parser.parse_args()


def _usual(vendor: argparse.ArgumentParser) -> None:
    vendor.add_argument("--port", type=int, default=8801)
    vendor.add_argument("--host", default=DEFAULT_HOST)
    vendor.add_argument("--seed", type=int, default=1, help="makes ids and planted issues repeatable")
    vendor.add_argument("--seed-issues", type=int, default=25, help="issues to start with")
    vendor.add_argument("--search-lag", type=float, default=0.0, help="seconds the search index is behind")
    vendor.add_argument("--consent", choices=("auto", "form"), default="auto")
    vendor.add_argument("--limits-scale", type=float, help="enforce rate limits, sizes times this")
    vendor.add_argument("--webhook-time-scale", type=float, default=0.01, help="shrinks retry delays")
    vendor.add_argument("--record", type=Path, help="write every exchange to this JSONL file")


def _jira(given: argparse.Namespace) -> JiraSandbox:
    settings = Settings(
        search_lag_seconds=given.search_lag,
        consent=given.consent,
        enforce_limits=given.limits_scale is not None,
        limits_scale=given.limits_scale or 1.0,
    )
    sandbox = JiraSandbox(
        seed=given.seed,
        seed_issues=given.seed_issues,
        sites=given.sites,
        settings=settings,
        webhook_time_scale=given.webhook_time_scale,
        record=given.record,
    )
    sandbox.site.url = f"http://{given.host}:{given.port}"
    sandbox.deliveries.start()
    return sandbox


def _serve_jira(given: argparse.Namespace) -> None:
    sandbox = _jira(given)
    email, token = sandbox.basic_auth
    print(f"Jira sandbox   {sandbox.site.url}   cloudId {sandbox.site.cloud_id}")
    print(f"Basic auth     {email} : {token}")
    print(f"OAuth app      {CLIENT_ID} : {CLIENT_SECRET}   authorize at {sandbox.site.url}/authorize")
    print(f"Control        {sandbox.site.url}/_control/state", flush=True)
    serve_forever(sandbox.app, given.port, given.host)


def _serve_tracker(given: argparse.Namespace) -> None:
    sandbox = TRACKERS[given.vendor](seed=given.seed, webhook_time_scale=given.webhook_time_scale, record=given.record)
    sandbox.settings.search_lag_seconds = given.search_lag
    sandbox.settings.consent = given.consent
    sandbox.settings.enforce_limits = given.limits_scale is not None
    sandbox.settings.limits_scale = given.limits_scale or 1.0
    sandbox.plant(given.seed_issues)
    sandbox.url = f"http://{given.host}:{given.port}"
    sandbox.deliveries.start()
    print(f"{given.vendor.title()} sandbox  {sandbox.url}")
    print(f"API token       {API_TOKEN}")
    if sandbox.oauth is not None:
        for app in sandbox.oauth.apps.values():
            print(f"OAuth app       {app.client_id} : {app.client_secret}")
    print(f"Control         {sandbox.url}/_control/state", flush=True)
    serve_forever(sandbox.app, given.port, given.host)


def main() -> None:
    """Serve in the foreground until interrupted."""
    given = _arguments()
    if given.vendor in TRACKERS:
        _serve_tracker(given)
    else:
        _serve_jira(given)


if __name__ == "__main__":
    main()
