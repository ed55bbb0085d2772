"""GraphQL documents, and what becomes of answers."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from connectors.contract import BadPayload, ConnectorError, Forbidden, Rejected, Transient
from connectors.graphql import GraphQL, Operation, Problem, documents
from connectors.http import HttpClient, Unlimited, WireResponse
from tests.connectors.server import NOON, Scripted

FILE = """# a comment
query One($id: ID!) {
  thing(id: $id) { ...Thing }
}

mutation Two {
  set { ok }
}

# another one, in front of a fragment
fragment Thing on Thing { id ...Deep ...Deep }
fragment Deep on Thing { name }
"""


def told(problem: Problem) -> ConnectorError:
    return Transient(problem.message) if problem.extension("code") == "LATER" else Forbidden(problem.message)


def graphql(*answers: WireResponse | Exception) -> tuple[GraphQL, HttpClient]:
    http = HttpClient(transport=Scripted(*answers), budget=Unlimited(), now=lambda: NOON, secrets=["hidden"])
    return GraphQL(http, "https://api.example/graphql", documents(FILE), dict, told), http


def test_an_operation_is_sent_with_the_fragments_it_needs_and_no_others():
    known = documents(FILE)
    assert set(known) == {"One", "Two"}
    assert known["One"].text.count("fragment ") == 2
    assert (known["Two"].text, known["Two"].reads) == ("mutation Two {\n  set { ok }\n}", False)
    assert known["One"].reads


def test_data_comes_in_the_shape_that_was_asked_for():
    run, _ = graphql(WireResponse(200, json={"data": {"thing": {"id": "1"}}}))
    assert run.run("One", dict[str, dict[str, str]], id="1") == {"thing": {"id": "1"}}


def test_a_part_of_the_data_comes_without_what_is_beside_it():
    answer = WireResponse(200, json={"data": {"set": {"ok": True, "thing": {"id": "1"}}}})
    assert graphql(answer)[0].run("Two", dict[str, str], "set.thing") == {"id": "1"}


def test_an_operation_is_a_method_whose_keywords_are_its_variables():
    class Client(GraphQL):
        one = Operation("One", dict[str, str], "thing")

    server = Scripted(WireResponse(200, json={"data": {"thing": {"id": "1"}}}))
    http = HttpClient(transport=server, budget=Unlimited(), now=lambda: NOON)
    assert Client(http, "https://api.example/graphql", documents(FILE), dict, told).one(id="1") == {"id": "1"}
    assert msgspec.json.decode(server.requests[0].content)["variables"] == {"id": "1"}


@pytest.mark.parametrize("data", [None, {}, {"set": None}, {"set": {"other": 1}}, {"set": {"thing": 7}}])
def test_a_part_that_is_not_there_is_a_bad_payload(data):
    with pytest.raises(BadPayload, match="unexpected shape"):
        graphql(WireResponse(200, json={"data": data}))[0].run("Two", dict[str, str], "set.thing")


def test_rows_come_from_every_page():
    pages = [
        {"nodes": ["a", "b"], "pageInfo": {"hasNextPage": True, "endCursor": "2"}},
        {"nodes": ["c"], "pageInfo": {"hasNextPage": False}},
    ]
    run, _ = graphql(*(WireResponse(200, json={"data": {"things": page}}) for page in pages))
    assert list(run.rows("One", str, 2)) == ["a", "b", "c"]


@pytest.mark.parametrize("status", [200, 400])
def test_errors_count_although_there_is_data(status):
    answer: dict[str, Any] = {"data": {"thing": None}, "errors": [{"message": "no", "path": ["thing", 0]}]}
    with pytest.raises(Forbidden, match="no"):
        graphql(WireResponse(status, json=answer))[0].run("One", dict[str, Any], id="1")


@pytest.mark.parametrize(("operation", "maybe_done"), [("One", False), ("Two", True)])
def test_a_query_that_may_have_arrived_has_changed_nothing(operation, maybe_done):
    for failure in (
        httpx.ReadError("cut"),
        WireResponse(503, text="down"),
        WireResponse(200, json={"errors": [{"message": "later", "extensions": {"code": "LATER"}}]}),
    ):
        with pytest.raises(Transient) as caught:
            graphql(failure)[0].run(operation, dict[str, Any])
        assert caught.value.maybe_done is maybe_done


def test_a_refusal_without_errors_keeps_the_vendors_words_and_no_secret():
    with pytest.raises(Rejected, match=r"answered 400: not \*+ here"):
        graphql(WireResponse(400, json={"message": "not hidden here"}))[0].run("Two", dict[str, Any])


def test_errors_of_other_statuses_are_told_in_the_vendors_words():
    with pytest.raises(Forbidden, match="answered 403: not you"):
        graphql(WireResponse(403, json={"errors": [{"message": "not you"}]}))[0].run("Two", dict[str, Any])


@pytest.mark.parametrize("answer", [{"json": {"data": {"thing": 5}}}, {"text": "<html>"}, {"json": {"errors": 7}}])
def test_an_answer_of_another_shape_is_told(answer):
    with pytest.raises(BadPayload):
        graphql(WireResponse(200, **answer))[0].run("One", dict[str, dict[str, str]], id="1")


def test_every_page_of_a_connection_is_asked_for_and_no_more():
    def page(nodes: list[int], more: bool) -> WireResponse:
        info = {"hasNextPage": more, "endCursor": f"after {nodes[-1:]}"}
        return WireResponse(200, json={"data": {"things": {"nodes": nodes, "pageInfo": info}}})

    run, http = graphql(page([1, 2], True), page([], True), page([3], False))
    assert [page.nodes for page in run.pages("One", int, 2)] == [[1, 2], [], [3]]
    assert http.calls == 3


def test_an_error_that_quotes_a_secret_is_redacted():
    problem = {"message": "bad token hidden", "extensions": {"code": "LATER", "shown": "hidden", "number": 7}}
    with pytest.raises(Transient) as caught:
        graphql(WireResponse(200, json={"errors": [problem]}))[0].run("One", dict[str, Any])
    assert "hidden" not in caught.value.text
