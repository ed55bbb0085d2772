"""Run a fake vendor: `python -m sandbox jira --port 8801 --seed-issues 50`, or one of your own on the kit:
`python -m sandbox of turnbuckle_acme.fake:AcmeSandbox --port 8802 --plant 50`."""

import argparse
import importlib
from pathlib import Path

from sandbox.jira import JiraSandbox
from sandbox.server import DEFAULT_HOST, serve_forever
from sandbox.switches import Switches
from sandbox.vendor import CLIENT_ID, CLIENT_SECRET, TrackerSandbox

TRACKERS = {  # one line a vendor whose fake is made of the kit alone
    "azure_boards": "sandbox.azure_boards:AzureBoardsSandbox",
    "azure_devops": "sandbox.azure_devops:AzureDevOpsSandbox",
    "bitbucket": "sandbox.bitbucket:BitbucketSandbox",
    "clickup": "sandbox.clickup:ClickUpSandbox",
    "github": "sandbox.github:GitHubSandbox",
    "gitlab": "sandbox.gitlab:GitLabSandbox",
    "linear": "sandbox.linear:LinearSandbox",
    "slack": "sandbox.slack:SlackSandbox",
    "datadog": "sandbox.datadog:DatadogSandbox",
    "sonarcloud": "sandbox.sonarcloud:SonarCloudSandbox",
    "microsoft_teams": "sandbox.microsoft_teams:TeamsSandbox",
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Stateful fake vendors.")
    vendors = parser.add_subparsers(dest="vendor", required=True)
    jira = vendors.add_parser("jira", help="a fake Jira Cloud")
    _common(jira, port=8801)
    jira.add_argument("--seed-issues", type=int, default=25, help="issues to start with")
    jira.add_argument("--sites", type=int, default=1, help="sites one consent covers")
    jira.set_defaults(run=_run_jira)
    for port, (name, where) in enumerate(TRACKERS.items(), 8802):
        tracker = vendors.add_parser(name, help=f"a fake {name}")
        _common(tracker, port)
        tracker.add_argument("--plant", type=int, default=25, help="items to start with")
        tracker.set_defaults(run=_run_own, sandbox=where)
    own = vendors.add_parser("of", help="a fake vendor of your own, on the kit")
    own.add_argument("sandbox", metavar="MODULE:CLASS", help="a subclass of sandbox.vendor.TrackerSandbox")
    _common(own, port=8820)
    own.add_argument("--plant", type=int, default=25, help="items to start with")
    own.set_defaults(run=_run_own)
    return parser.parse_args()


def _common(parser: argparse.ArgumentParser, port: int) -> None:
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--host", default=DEFAULT_HOST)
    parser.add_argument("--seed", type=int, default=1, help="makes ids and planted items repeatable")
    parser.add_argument("--search-lag", type=float, default=0.0, help="seconds listings are behind")
    parser.add_argument("--consent", choices=("auto", "form"), default="auto")
    parser.add_argument("--limits-scale", type=float, help="enforce rate limits, sizes times this")
    parser.add_argument("--webhook-time-scale", type=float, default=0.01, help="shrinks retry delays")
    parser.add_argument("--record", type=Path, help="write every exchange to this JSONL file")


def _switched(switches: Switches, given: argparse.Namespace) -> None:
    switches.search_lag_seconds = given.search_lag
    switches.consent = given.consent
    switches.enforce_limits = given.limits_scale is not None
    switches.limits_scale = given.limits_scale or 1.0


def _run_jira(given: argparse.Namespace) -> None:
    sandbox = JiraSandbox(
        seed=given.seed,
        seed_issues=given.seed_issues,
        sites=given.sites,
        webhook_time_scale=given.webhook_time_scale,
        record=given.record,
    )
    email, token = sandbox.basic_auth
    _serve(sandbox, given, {"cloudId": sandbox.site.cloud_id, "Basic auth": f"{email} : {token}"})


def _run_own(given: argparse.Namespace) -> None:
    sandbox = _class(given.sandbox)(seed=given.seed, webhook_time_scale=given.webhook_time_scale, record=given.record)
    sandbox.plant(given.plant)
    sandbox.url = _url(given)  # what it tells of the ways in may hold it
    _serve(sandbox, given, sandbox.ways_in())


def _class(name: str) -> type[TrackerSandbox]:
    """The class `module:Class`. Raises SystemExit with a sentence."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        raise SystemExit(f"{name}: {error}; is the package installed?") from None
    if not (isinstance(found, type) and issubclass(found, TrackerSandbox)):
        raise SystemExit(f"{name} names no subclass of sandbox.vendor.TrackerSandbox; write module:Class")
    return found


def _url(given: argparse.Namespace) -> str:
    return f"http://{given.host}:{given.port}"


def _serve(sandbox: JiraSandbox | TrackerSandbox, given: argparse.Namespace, facts: dict[str, str]) -> None:
    """Say where it is and how to get in, and serve until interrupted."""
    _switched(sandbox.settings, given)
    sandbox.url = _url(given)
    sandbox.deliveries.start()
    if sandbox.oauth is not None:
        facts |= {"OAuth app": f"{CLIENT_ID} : {CLIENT_SECRET}"}
    for name, value in {sandbox.name: sandbox.url, **facts, "Control": f"{sandbox.url}/_control/state"}.items():
        print(f"{name:<14} {value}", flush=True)
    serve_forever(sandbox.app, given.port, given.host)


def main() -> None:
    """Serve in the foreground until interrupted."""
    given = _arguments()
    given.run(given)


if __name__ == "__main__":
    main()
