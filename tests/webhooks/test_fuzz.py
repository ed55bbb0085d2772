"""Whatever is sent, the answer is one of a few, a 2xx has its row, and a fault is never among them."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.webhooks.bell import PATH, Door, ask, sign, stored_count

EXAMPLES = int(os.environ.get("TURNBUCKLE_FUZZ_REQUESTS", "2000"))
"""Requests; a long run (100,000) takes a few minutes."""

ANSWERS = {202, 400, 401, 404, 405, 413, 415}

header_names = st.sampled_from(
    (
        *(b"x-bell-signature", b"x-bell-delivery", b"x-bell-event", b"content-type", b"content-length"),
        *(b"content-encoding", b"authorization", b"transfer-encoding", b"Content-Type", b"x-other", b""),
    )
)
header_values = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"sha256=", b"sha256=" + b"0" * 64, b"sha256=" + b"g" * 64, b"identity", b"gzip", b"10"]),
    st.text(max_size=20).map(lambda text: text.encode()),
)
paths = st.one_of(
    st.just(PATH),
    st.text(max_size=40).map(lambda text: f"/webhooks/{text}"),
    st.text(max_size=40).map(lambda text: f"/webhooks/bell/{text}"),
)
requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["POST"] * 8 + ["GET", "PUT", "", "post", "OPTIONS"]),
        "path": st.one_of(st.just(PATH), st.just(PATH), paths),
        "headers": st.lists(st.tuples(header_names, header_values), max_size=8),
        "body": st.lists(st.binary(max_size=60), min_size=1, max_size=3),
        "query": st.one_of(st.just(b""), st.binary(max_size=40)),
    }
)


@settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(request=requests, signed=st.booleans())
def test_no_request_is_a_fault(door: Door, request: dict[str, Any], signed: bool) -> None:
    if signed:
        signature = sign(b"".join(request["body"])).encode()
        request["headers"] = [pair for pair in request["headers"] if pair[0] != b"x-bell-signature"]
        request["headers"].append((b"x-bell-signature", signature))
    accepted = door.count("accepted")
    answered = door.runner.run(ask(door.receiver, **request))
    assert answered is not None
    assert answered.status in ANSWERS | ({200} if b"validation" in request["query"] else set())
    if answered.status == 202:
        assert stored_count(door.db) == door.count("accepted")
    else:
        assert door.count("accepted") == accepted
