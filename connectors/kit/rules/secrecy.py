"""Secrets: whatever goes wrong, none of them is seen anywhere."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import NOTIFIER, SOURCES, Finding, Rule, Tier


def never_seen(bench: Bench) -> Iterator[Finding]:
    """A day in the life of an integration with everything going wrong; then every text is searched for secrets."""
    for oauth in bench.ways_in():
        bench.begin(oauth=oauth)
        yield from _seen(bench)


def _seen(bench: Bench) -> Iterator[Finding]:
    secrets = dict(bench.secrets())
    if not secrets:
        yield Finding("the credentials hold no secret", "Make the fields that prove who we are SecretStr.")
    _live(bench)
    secrets |= {f"{name} (renewed)": value for name, value in bench.secrets().items()}
    for where, text in bench.visible():
        for name, secret in secrets.items():
            if secret in text:
                yield Finding(
                    f"the secret {name} shows in {where}",
                    "Never put credentials into texts, urls or logs; context.http.redact() cleans the vendor's words.",
                )
                return


def _live(bench: Bench) -> None:
    if "notifier" in bench.subjects():
        bench.route("")
    _stirred(bench, "Seen")
    bench.hear()
    bench.pull()
    if "task_sink" in bench.integration()["capabilities"]:
        bench.create("Made here")
        bench.push()
    for status in (400, 403, 404, 500, 401):
        bench.vendor.faults.add("error", status=status, count=None)
        _stirred(bench, f"Answered {status}")
        if "task_sink" in bench.integration()["capabilities"]:
            bench.edit("title", f"Refused {status}")
        bench.hear()
        bench.push()
        bench.pull()
        bench.wait(4000)
        bench.vendor.faults.clear()
    bench.vendor.expire()
    bench.pull()
    bench.connect(bench.vendor.wrong_credentials())
    bench.connect()


def _stirred(bench: Bench, text: str) -> None:
    for subject in bench.subjects():
        bench.stir(subject, text)
    if "notifier" in bench.subjects():
        bench.happen("incident.opened", "INC-26-000001", title=text)
        bench.speak()


RULES = (
    Rule(
        "secrets-never-logged",
        Tier.BRONZE,
        "No credential shows in logs, errors, rows, reprs or diagnostics.",
        executed=never_seen,
        among=SOURCES | NOTIFIER,
        essential=True,
    ),
)
