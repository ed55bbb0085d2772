"""Run a fake vendor: `python -m sandbox jira --port 8801 --seed-issues 50`."""

import argparse
from pathlib import Path

from sandbox.jira import CLIENT_ID, CLIENT_SECRET, JiraSandbox, Settings
from sandbox.server import DEFAULT_HOST, serve_forever


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Stateful fake vendors.")
    vendors = parser.add_subparsers(dest="vendor", required=True)
    jira = vendors.add_parser("jira", help="a fake Jira Cloud")
    jira.add_argument("--port", type=int, default=8801)
    jira.add_argument("--host", default=DEFAULT_HOST)
    jira.add_argument("--seed", type=int, default=1, help="makes ids and planted issues repeatable")
    jira.add_argument("--seed-issues", type=int, default=25, help="issues to start with")
    jira.add_argument("--sites", type=int, default=1, help="sites one consent covers")
    jira.add_argument("--search-lag", type=float, default=0.0, help="seconds the search index is behind")
    jira.add_argument("--consent", choices=("auto", "form"), default="auto")
    jira.add_argument("--limits-scale", type=float, help="enforce rate limits, sizes times this")
    jira.add_argument("--webhook-time-scale", type=float, default=0.01, help="shrinks retry delays")
    jira.add_argument("--record", type=Path, help="write every exchange to this JSONL file")
    return parser.parse_args()


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


def main() -> None:
    """Serve in the foreground until interrupted."""
    given = _arguments()
    sandbox = _jira(given)
    email, token = sandbox.basic_auth
    print(f"Jira sandbox   {sandbox.site.url}   cloudId {sandbox.site.cloud_id}")
    print(f"Basic auth     {email} : {token}")
    print(f"OAuth app      {CLIENT_ID} : {CLIENT_SECRET}   authorize at {sandbox.site.url}/authorize")
    print(f"Control        {sandbox.site.url}/_control/state", flush=True)
    serve_forever(sandbox.app, given.port, given.host)


if __name__ == "__main__":
    main()
