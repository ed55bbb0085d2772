"""The bare fetch: the requests a reading makes, in the same order, one after another over one kept-alive connection of
the same HTTP library, each answer read and decoded by `json.loads`. No connector, no budget, no database."""

from __future__ import annotations

import json

import httpx

from benchmarks.code.job import Job, Phase, work
from core import logs
from sandbox.vendor import API_TOKEN
from sync.runtime import settle

HEADERS = {"Authorization": f"Bearer {API_TOKEN}", "Accept-Encoding": "gzip, deflate", "User-Agent": "bench"}


def contest(job: Job) -> list[Phase]:
    """All of it. How many events that are, whoever made some of it can tell: not this."""
    logs.set_up(as_json=True)
    size = 0
    with httpx.Client(headers=HEADERS, trust_env=False) as http:
        http.get(job.urls[0])
        settle()
        with job.phase("backfill") as phase:
            for url in job.urls:
                answer = http.get(url)
                assert answer.status_code == 200, answer.text
                json.loads(answer.content)
                size += len(answer.content)
    phase.found = {"calls": len(job.urls), "bytes": size}
    return [phase]


if __name__ == "__main__":
    work(contest)
