"""Calls below one address, and answers in their shapes."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from connectors.contract import BadPayload, NotFound
from connectors.http import HttpClient, Unlimited
from connectors.response import Response
from connectors.rest import Endpoint, RestClient


class Thing(msgspec.Struct):
    """A thing."""

    id: str


class Shop(RestClient):
    """A client whose calls are data."""

    thing = Endpoint("GET /things/{}", Thing, "thing", params={"deep": "true"})
    change = Endpoint("PUT /things/{}/parts/{}", Thing, "thing")
    remove = Endpoint("DELETE /things/{}", Response, allow=(404,))


def client(answer: httpx.Response, seen: list[httpx.Request] | None = None) -> Shop:
    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return answer

    http = HttpClient(transport=httpx.MockTransport(handle), budget=Unlimited(), now=lambda: datetime.now(UTC))
    return Shop(http, "https://vendor.example/api", lambda: "Bearer t")


def test_a_call_goes_below_the_address_with_the_header():
    seen: list[httpx.Request] = []
    made = client(httpx.Response(200, json={"thing": {"id": "1"}}), seen)
    assert made.get("/things", Thing, "thing", params={"q": "x"}) == Thing("1")
    assert made.send("POST", "/things", {"a": 1}, Thing, "thing") == Thing("1")
    assert [(r.method, str(r.url)) for r in seen] == [
        ("GET", "https://vendor.example/api/things?q=x"),
        ("POST", "https://vendor.example/api/things"),
    ]
    assert {request.headers["authorization"] for request in seen} == {"Bearer t"}
    assert msgspec.json.decode(seen[1].content) == {"a": 1}


def test_an_answer_is_taken_whole_or_by_a_member_whatever_else_is_in_it():
    made = client(httpx.Response(200, json={"id": "1", "rows": [{"id": "2", "x": 1}], "other": 3}))
    assert made.get("/", Thing) == Thing("1")
    assert made.get("/", list[Thing], "rows") == [Thing("2")]


@pytest.mark.parametrize("answer", [{}, {"rows": 7}, [], {"rows": [{}]}])
def test_an_answer_of_another_shape_is_a_bad_payload(answer):
    with pytest.raises(BadPayload, match=r"rows|shape"):
        client(httpx.Response(200, json=answer)).get("/", list[Thing], "rows")


def test_an_error_is_the_contracts():
    with pytest.raises(NotFound):
        client(httpx.Response(404)).get("/", Thing)


def test_a_call_that_is_data_is_filled_with_what_it_is_given_and_then_the_body():
    seen: list[httpx.Request] = []
    shop = client(httpx.Response(200, json={"thing": {"id": "1"}}), seen)
    assert shop.thing("a/b") == Thing("1")
    assert shop.thing("7", params={"deep": "false"}) == Thing("1")
    assert shop.change(7, "x", {"a": 1}) == Thing("1")
    assert [(r.method, r.url.raw_path.decode(), r.content) for r in seen] == [
        ("GET", "/api/things/a%2Fb?deep=true", b""),
        ("GET", "/api/things/7?deep=false", b""),
        ("PUT", "/api/things/7/parts/x", b'{"a":1}'),
    ]


@pytest.mark.parametrize("said", [(), ("7",), ("7", "x", {}, {})])
def test_a_call_that_is_data_takes_what_its_path_names_and_no_more_than_a_body(said):
    with pytest.raises(TypeError, match="2 names"):
        client(httpx.Response(200)).change(*said)


def test_a_call_that_is_data_may_give_the_answer_as_it_came():
    assert client(httpx.Response(404)).remove("7").status == 404
