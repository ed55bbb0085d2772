"""The fake Microsoft Teams: flows, the bot's API, people at the control endpoint, and what Teams sends."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest

from sandbox.clock import ManualClock
from sandbox.control import ControlError
from sandbox.inprocess import InProcessTransport
from sandbox.microsoft_teams import TeamsSandbox
from sandbox.microsoft_teams.sandbox import APP_ID, APP_PASSWORD, CHANNELS, CHAT, REGION, TENANT
from sandbox.microsoft_teams.speaker import ISSUER, OUTGOING_TOKEN
from tests.sandbox.callers import Inbox
from tests.services.process import ServiceProcess, free_port

DELIVERY = CHANNELS["delivery"]
CARD = {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": "Hello"}]}
FORM = {"grant_type": "client_credentials", "scope": "https://api.botframework.com/.default"}
GOOD_FORM = {**FORM, "client_id": APP_ID, "client_secret": APP_PASSWORD}


def message(**card: Any) -> dict[str, Any]:
    content = {**CARD, **card}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [attachment]}


BUTTON = {"type": "Action.Execute", "title": "Ack", "verb": "acknowledge", "data": {"value": "INC-1"}}


@pytest.fixture
def teams() -> TeamsSandbox:
    sandbox = TeamsSandbox(clock=ManualClock())
    sandbox.deliveries.sender = Inbox()
    return sandbox


@pytest.fixture
def http(teams: TeamsSandbox) -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcessTransport(teams.app), base_url=teams.url) as client:
        yield client


@pytest.fixture
def bot(teams: TeamsSandbox) -> Iterator[httpx.Client]:
    """A caller with the bot's token."""
    with httpx.Client(transport=InProcessTransport(teams.app), base_url=teams.url) as client:
        made = client.post(f"/{TENANT}/oauth2/v2.0/token", data=GOOD_FORM).json()
        client.headers["Authorization"] = f"Bearer {made['access_token']}"
        yield client


def activities(conversation: str) -> str:
    return f"/{REGION}/v3/conversations/{quote(conversation, safe='')}/activities"


def act(teams: TeamsSandbox, action: str, **arguments: Any) -> None:
    teams.act("Ann Archer", action, arguments)


def received(teams: TeamsSandbox) -> list[tuple[dict[str, str], bytes]]:
    teams.deliver()
    inbox = teams.deliveries.sender
    assert isinstance(inbox, Inbox)
    return [(headers, body) for _, headers, body in inbox.received]


# --- flows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["workflows", "direct"])
def test_a_flow_is_started_by_either_of_its_urls_and_posts(teams: TeamsSandbox, http: httpx.Client, shape: str) -> None:
    answer = http.post(teams.flow_url("delivery", shape), json=message())
    assert (answer.status_code, answer.content) == (202, b"")
    assert [post.texts() for post in teams.said("delivery")] == [["Hello"]]
    assert teams.said("incidents") == []


def test_a_wrong_signature_a_flow_turned_off_and_one_that_is_gone_are_refused(
    teams: TeamsSandbox, http: httpx.Client
) -> None:
    url = teams.flow_url("delivery")
    act(teams, "sign_anew", flow="delivery")
    refused = http.post(url, json=message())
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "DirectApiAuthorizationRequired")
    url = teams.flow_url("delivery")
    act(teams, "turn_off", flow="delivery")
    assert http.post(url, json=message()).json()["error"]["code"] == "WorkflowDisabled"
    act(teams, "turn_on", flow="delivery")
    assert http.post(url, json=message()).status_code == 202
    act(teams, "delete_flow", flow="delivery")
    assert http.post(url, json=message()).json()["error"]["code"] == "WorkflowNotFound"


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (message(body=[{"type": "TextBlock", "text": "x" * 29_000}]), "RequestEntityTooLarge"),
        (message(body=[{"type": "Title", "text": "x"}]), "'Title' is not known"),
        (message(body=[{"type": "TextBlock", "text": ""}]), "has no text"),
        (message(actions=[BUTTON]), "'Action.Execute' is not supported"),
        (message(actions=[{"type": "Action.OpenUrl", "title": "x", "url": "http://a.example"}]), "https"),
        ({"type": "message", "attachments": []}, "no attachments"),
        ({"type": "message", "attachments": [{"contentType": "text/html", "content": "x"}]}, "no Adaptive Card"),
    ],
)
def test_a_card_teams_does_not_show_is_accepted_and_its_run_fails(
    teams: TeamsSandbox, http: httpx.Client, sent: dict[str, Any], why: str
) -> None:
    assert http.post(teams.flow_url("delivery"), json=sent).status_code == 202
    [run] = teams.flow("delivery").runs
    assert why in str(run.failed)
    assert teams.said("delivery") == []


def test_flows_can_be_made_to_fail_after_they_were_accepted(teams: TeamsSandbox, http: httpx.Client) -> None:
    teams.change_settings({"flows_fail": True})
    assert http.post(teams.flow_url("delivery"), json=message()).status_code == 202
    assert [run["failed"] for run in teams.state()["flows"][0]["runs"]] == ["The flow run failed."]
    assert teams.said("delivery") == []


def test_what_is_no_message_at_all_is_refused_by_the_trigger(teams: TeamsSandbox, http: httpx.Client) -> None:
    for body in (b"", b"[]", b'{"text": "x"}'):
        assert http.post(teams.flow_url("delivery"), content=body).status_code == 400


def test_a_flow_that_is_started_too_often_says_when_to_come_back_and_others_go_on(
    teams: TeamsSandbox, http: httpx.Client
) -> None:
    teams.change_settings({"enforce_limits": True})
    answers = [http.post(teams.flow_url("delivery"), json=message()) for _ in range(5)]
    assert [one.status_code for one in answers] == [202] * 4 + [429]
    assert answers[-1].headers["retry-after"] == "1"
    assert http.post(teams.flow_url("incidents"), json=message()).status_code == 202


# --- the bot --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tenant", "form", "status", "error"),
    [
        (TENANT, {**GOOD_FORM, "client_secret": "guessed"}, 401, "invalid_client"),
        (TENANT, {**GOOD_FORM, "client_id": "another"}, 401, "invalid_client"),
        (TENANT, {**GOOD_FORM, "scope": ""}, 400, "invalid_request"),
        ("another.example", GOOD_FORM, 400, "invalid_request"),
    ],
)
def test_only_the_app_gets_a_token(
    http: httpx.Client, tenant: str, form: dict[str, str], status: int, error: str
) -> None:
    refused = http.post(f"/{tenant}/oauth2/v2.0/token", data=form)
    assert (refused.status_code, refused.json()["error"]) == (status, error)


def test_a_token_ends(teams: TeamsSandbox, bot: httpx.Client) -> None:
    assert bot.post(activities(DELIVERY), json=message()).status_code == 201
    assert isinstance(teams.clock, ManualClock)
    teams.clock.advance(3601)
    assert bot.post(activities(DELIVERY), json=message()).status_code == 401


def test_a_new_post_begins_a_thread_that_is_answered_and_changed(teams: TeamsSandbox, bot: httpx.Client) -> None:
    begun = bot.post(
        f"/{REGION}/v3/conversations",
        json={"isGroup": True, "channelData": {"channel": {"id": DELIVERY}}, "activity": message()},
    ).json()
    assert begun["id"] == f"{DELIVERY};messageid={begun['activityId']}"
    answer = bot.post(activities(begun["id"]), json=message()).json()["id"]
    text = message(body=[{"type": "TextBlock", "text": "Over"}])
    assert bot.put(f"{activities(begun['id'])}/{begun['activityId']}", json=text).json() == {"id": begun["activityId"]}
    root, reply = teams.said(DELIVERY)
    assert (root.texts(), root.edited, reply.id, reply.root) == (["Over"], 1, answer, root.id)
    alone = bot.post(activities(CHAT), json=message()).json()["id"]
    assert teams.said(CHAT)[0].root == alone


def test_a_bot_speaks_only_where_it_was_added_and_of_its_own_messages(teams: TeamsSandbox, bot: httpx.Client) -> None:
    act(teams, "write", channel=DELIVERY, text="Hello")
    [theirs] = teams.said(DELIVERY)
    assert bot.put(f"{activities(DELIVERY)}/{theirs.id}", json=message()).status_code == 403
    assert bot.put(f"{activities(DELIVERY)}/1", json=message()).json()["error"]["code"] == "MessageNotFound"
    assert bot.post(activities("19:nowhere@thread.tacv2"), json=message()).status_code == 404
    act(teams, "remove_bot", channel=DELIVERY)
    refused = bot.post(activities(DELIVERY), json=message()).json()["error"]["code"]
    assert refused == "BotNotInConversationRoster"
    act(teams, "add_bot", channel=DELIVERY)
    assert bot.post(activities(DELIVERY), json=message()).status_code == 201


def test_a_bots_card_is_refused_at_once(bot: httpx.Client) -> None:
    assert bot.post(activities(DELIVERY), json=message(body=[])).status_code == 400
    huge = message(body=[{"type": "TextBlock", "text": "x" * 29_000}])
    assert bot.post(activities(DELIVERY), json=huge).status_code == 413
    assert bot.post(activities(DELIVERY), json=message(actions=[BUTTON])).status_code == 201


def test_a_bot_that_says_too_much_in_one_conversation_waits(teams: TeamsSandbox, bot: httpx.Client) -> None:
    teams.change_settings({"enforce_limits": True})
    assert [bot.post(activities(DELIVERY), json=message()).status_code for _ in range(8)] == [201] * 7 + [429]
    assert bot.post(activities(CHAT), json=message()).status_code == 201


# --- what is sent ---------------------------------------------------------------------------------------


def test_a_press_is_sent_under_a_token_that_the_published_keys_prove(
    teams: TeamsSandbox, http: httpx.Client, bot: httpx.Client
) -> None:
    teams.bot_hook("https://turnbuckle.example/hook")
    id_ = bot.post(activities(DELIVERY), json=message(actions=[BUTTON])).json()["id"]
    act(teams, "press", channel=DELIVERY, message=id_, button="acknowledge")
    [(headers, body)] = received(teams)
    sent = json.loads(body)
    assert (sent["type"], sent["name"], sent["replyToId"]) == ("invoke", "adaptiveCard/action", id_)
    assert sent["value"]["action"]["data"] == {"value": "INC-1"}
    assert sent["conversation"]["id"] == f"{DELIVERY};messageid={id_}"
    [key] = jwt.PyJWKSet.from_dict(http.get("/v1/.well-known/keys").json()).keys
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    token = headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, key.key, ["RS256"], audience=APP_ID, issuer=ISSUER, options=options)
    assert claims["serviceurl"] == sent["serviceUrl"]
    with pytest.raises(ControlError, match="no button"):
        act(teams, "press", channel=DELIVERY, message=id_, button="other")


def test_a_mention_goes_to_the_outgoing_webhook_alone_and_is_signed_with_its_token(teams: TeamsSandbox) -> None:
    teams.bot_hook("https://turnbuckle.example/bot")
    teams.outgoing_hook("https://turnbuckle.example/outgoing")
    act(teams, "mention", channel=DELIVERY, text="status")
    [(headers, body)] = received(teams)
    made = hmac.new(base64.b64decode(OUTGOING_TOKEN), body, hashlib.sha256).digest()
    assert headers["Authorization"] == "HMAC " + base64.b64encode(made).decode()
    assert json.loads(body)["text"] == "<at>Turnbuckle</at> status"


def test_the_state_shows_what_was_posted_and_nothing_that_starts_a_flow(
    teams: TeamsSandbox, http: httpx.Client
) -> None:
    http.post(teams.flow_url("delivery"), json=message())
    shown = json.dumps(teams.state())
    assert "Hello" in shown
    assert teams.flow("delivery").signature not in shown
    assert teams.flow("delivery").id not in shown


def test_it_is_served_and_says_how_to_get_in() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    args = [sys.executable, "-m", "sandbox", "microsoft_teams", "--port", str(port)]
    with ServiceProcess(args, ready=f"{url}/_control/state", name="teams") as process:
        [line] = [line for line in process.log.splitlines() if line.startswith("Flow delivery")]
        assert httpx.post(line.split()[2], json=message()).status_code == 202
        act_ = {"as": "Ann Archer", "do": "turn_off", "flow": "delivery"}
        assert httpx.post(f"{url}/_control/act", json=act_).json() == {"done": "turn_off"}
        assert httpx.post(line.split()[2], json=message()).status_code == 404
        assert APP_PASSWORD in process.log


def test_slack_is_served_though_it_holds_no_items() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    args = [sys.executable, "-m", "sandbox", "slack", "--port", str(port)]
    with ServiceProcess(args, ready=f"{url}/_control/state", name="slack"):
        assert len(httpx.get(f"{url}/_control/state").json()["channels"]) == 2
