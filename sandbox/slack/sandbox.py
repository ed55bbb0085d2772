"""A fake Slack: one workspace with channels in which an app speaks, and people who press its buttons."""

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

from sandbox.base import perform
from sandbox.errors import VendorError
from sandbox.hooks import Hook, Sending, alike
from sandbox.http import Reply
from sandbox.limits import Rate, Window
from sandbox.paging import by_offset
from sandbox.slack.workspace import Channel, Json, Said, Workspace
from sandbox.tracker import Change, Tracker
from sandbox.vendor import Ask, Endpoint, TrackerSandbox, usual_people
from sandbox.webhooks import RetryRule

TEAM = {"id": "T0SANDBOX", "name": "Acme"}
APP, BOT = "A0SANDBOX", "B0SANDBOX"
CHANNELS = (("C08DELIVERY", "delivery"), ("C08INCIDENTS", "incidents"))
"""Public channels the app is in at first."""

RETRY_SECONDS = ((0.0, 1.0), (60.0, 60.0), (300.0, 300.0))
EVENT, CLICK = "event", "click"

MOST_BLOCKS, MOST_FIELDS, MOST_BUTTONS, MOST_IN_CONTEXT = 50, 10, 25, 10
LONGEST = {"header": 150, "section": 3000, "fields": 2000, "button": 75, "value": 2000, "action_id": 255, "url": 3000}
"""Characters."""
LONGEST_UPDATE = 4000
"""Characters of the text of `chat.update`."""

SAID = {
    **{400: "invalid_arguments", 401: "invalid_auth", 403: "missing_scope", 404: "channel_not_found"},
    429: "ratelimited",
}
"""What the kit's own refusals are called here."""

ACTIONS = frozenset({"press", "archive", "unarchive", "remove_app", "invite_app", "open_channel", "uninstall", "erase"})


class SlackSandbox(TrackerSandbox):
    """A Slack workspace in which an app is installed; the robot is the app's user."""

    name = "slack"
    rate = Rate(50, 60.0)
    retry_rule = RetryRule(RETRY_SECONDS, lambda status: True, accepts=lambda status: 200 <= status < 300)
    page_size: ClassVar[int] = 100

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.workspace = Workspace(self.clock)
        for id_, name in CHANNELS:
            self.workspace.open(id_, name, self.robot.id)

    def make_tracker(self) -> Tracker:
        """People, and nothing else."""
        return Tracker(self.clock, users=usual_people(), containers=(), statuses=())

    def on_change(self, change: Change) -> None:
        """There are no items."""

    # --- the app's requests -------------------------------------------------------------------------

    def app_hook(self, url: str, secret: str) -> Hook:
        """Set the address the app's events and clicks go to, and what they are signed with."""
        return self.hooks.register(url, "app", secret=secret)

    def sign(self, sending: Sending) -> dict[str, str]:
        """As for events; a click is a form that is signed alike."""
        at = str(int(sending.now.timestamp()))
        base = f"v0:{at}:".encode() + sending.body
        made = hmac.new(sending.hook.secret.encode(), base, hashlib.sha256).hexdigest()
        again = {"X-Slack-Retry-Num": str(sending.attempt - 1), "X-Slack-Retry-Reason": "http_error"}
        signed = {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={made}"}
        return signed | (again if sending.attempt > 1 else {})

    def _event(self, event: Json) -> None:
        at = int(self.clock.now().timestamp())
        body = {
            "token": "deprecated",
            "team_id": TEAM["id"],
            "api_app_id": APP,
            "event": event | {"event_ts": f"{at}.000100"},
            "type": "event_callback",
            "event_time": at,
            "authorizations": [{"team_id": TEAM["id"], "user_id": self.robot.id, "is_bot": True}],
        }
        number = f"Ev{self.rng(f'event {at} {json.dumps(event)}').getrandbits(40):010X}"
        self.hooks.tell(EVENT, alike(body | {"event_id": number}))

    # --- what people do -----------------------------------------------------------------------------

    def act(self, person: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do something as a person; see ACTIONS. Raises ControlError."""
        perform(partial(_Doer, self, self.tracker.user(person).id), ACTIONS, action, arguments, VendorError)
        return {"done": action}

    def said(self, channel: str) -> list[Said]:
        """What was said in a channel, in order."""
        return list(self.workspace.channels[channel].messages)

    def state(self) -> dict[str, Any]:
        """Every channel and what was said there."""
        return {
            "channels": [
                {
                    "id": channel.id,
                    "name": channel.name,
                    "archived": channel.archived,
                    "messages": [said.json() | {"edited": said.edited} for said in channel.messages],
                }
                for channel in self.workspace.channels.values()
            ]
        }

    # --- the API ------------------------------------------------------------------------------------

    def endpoints(self) -> Sequence[Endpoint]:
        """The Web API."""
        table: list[tuple[str, str, Callable[[Ask], Any]]] = [
            ("POST", "auth.test", self._identity),
            ("POST", "chat.postMessage", self._post),
            ("POST", "chat.update", self._update),
            ("POST", "conversations.join", self._join),
            ("GET", "conversations.list", self._list),
            ("GET", "conversations.history", self._history),
            ("GET", "conversations.replies", self._replies),
        ]
        return [Endpoint(name, method, f"/api/{name}", partial(self._ok, do)) for method, name, do in table]

    @staticmethod
    def _ok(do: Callable[[Ask], Json], ask: Ask) -> Json:
        return {"ok": True, **do(ask)}

    def error_reply(self, error: VendorError) -> Reply:
        """A 200 that says what is wrong; too many calls are a 429, and a Slack that is down says so as anybody does."""
        if error.status >= 500:
            return Reply(error.status, {"ok": False, "error": "internal_error"})
        word = SAID.get(error.status, error.text)
        return Reply(429 if error.status == 429 else 200, {"ok": False, "error": word})

    def rate_headers(self, window: Window) -> dict[str, str]:
        """Slack says nothing until it is too much."""
        return {"Retry-After": str(window.wait)} if window.refused else {}

    def _identity(self, ask: Ask) -> Json:
        user = self.tracker.users[ask.user]
        names = {"url": "https://acme.slack.com/", "team": TEAM["name"], "user": user.name}
        return names | {"team_id": TEAM["id"], "user_id": user.id, "bot_id": BOT, "is_enterprise_install": False}

    def _channel(self, ask: Ask, id_: str) -> Channel:
        return self.workspace.seen(id_, ask.user)

    def _post(self, ask: Ask) -> Json:
        body = ask.json("channel")
        _checked(body)
        channel = self._channel(ask, body["channel"])
        said = self.workspace.say(channel, ask.user, body)
        return {"channel": channel.id, "ts": said.ts, "message": said.json()}

    def _update(self, ask: Ask) -> Json:
        body = ask.json("channel", "ts")
        _checked(body)
        if len(body.get("text", "")) > LONGEST_UPDATE:
            raise VendorError(200, "msg_too_long")
        channel = self._channel(ask, body["channel"])
        said = self.workspace.change(channel, ask.user, body)
        return {"channel": channel.id, "ts": said.ts, "text": said.text, "message": said.json()}

    def _join(self, ask: Ask) -> Json:
        channel = self._channel(ask, ask.json("channel")["channel"])
        if channel.private:
            raise VendorError(200, "method_not_supported_for_channel_type")
        if channel.archived:
            raise VendorError(200, "is_archived")
        channel.members.add(ask.user)
        return {"channel": self._shown(channel, ask.user)}

    def _shown(self, channel: Channel, who: str) -> Json:
        told = {"id": channel.id, "name": channel.name, "is_private": channel.private, "is_archived": channel.archived}
        return told | {"is_channel": True, "is_member": who in channel.members, "num_members": len(channel.members)}

    def _list(self, ask: Ask) -> Json:
        seen = [one for one in self.workspace.channels.values() if not one.private or ask.user in one.members]
        return self._paged(ask, seen, "channels", lambda one: self._shown(one, ask.user))

    def _history(self, ask: Ask) -> Json:
        channel = self._channel(ask, ask.call.query.get("channel", ""))
        if ask.user not in channel.members:
            raise VendorError(200, "not_in_channel")
        roots = [said for said in reversed(channel.messages) if said.thread is None]
        return self._messages(ask, roots)

    def _replies(self, ask: Ask) -> Json:
        channel = self._channel(ask, ask.call.query.get("channel", ""))
        root = channel.find(ask.call.query.get("ts", ""))
        answers = [said for said in channel.messages if said.thread == root.ts]
        return self._messages(ask, answers, always=[root])

    def _messages(self, ask: Ask, told: list[Said], always: Sequence[Said] = ()) -> Json:
        oldest = float(ask.call.query.get("oldest", "0"))
        whole = ask.call.query.get("include_all_metadata") == "true"
        rows = [*always, *(said for said in told if float(said.ts) >= oldest)]

        def shown(said: Said) -> Json:
            extra = {"metadata": said.metadata} if whole and said.metadata else {}
            return said.json() | extra

        return self._paged(ask, rows, "messages", shown)

    def _paged(self, ask: Ask, rows: Sequence[Any], name: str, shown: Callable[[Any], Json]) -> Json:
        """A page; `next_cursor` is empty at the end. A page may be shorter than what was asked for."""
        size = min(ask.number("limit", self.page_size), 1000)
        start = int(ask.call.query.get("cursor") or 0)
        page = self.page(ask, lambda most: by_offset(rows, start, most), size, start)
        token = "" if page.next is None else str(page.next)
        told = [shown(row) for row in page.rows]
        return {name: told, "has_more": bool(token), "response_metadata": {"next_cursor": token}}


class _Doer:
    """A person in the workspace."""

    def __init__(self, sandbox: SlackSandbox, who: str) -> None:
        self._sandbox, self._who = sandbox, who

    def _in(self, channel: str) -> Channel:
        found = self._sandbox.workspace.channels.get(channel)
        if found is None:
            raise VendorError(404, f"There is no channel {channel!r}.")
        return found

    def press(self, channel: str, ts: str, button: str) -> None:
        """Press a button of a message."""
        said = self._in(channel).find(ts)
        elements = [one for block in said.blocks for one in block.get("elements", []) if isinstance(one, dict)]
        pressed = next((one for one in elements if one.get("action_id") == button), None)
        if pressed is None:
            raise VendorError(404, f"The message has no button {button!r}.")
        user, at = self._sandbox.tracker.users[self._who], self._sandbox.clock.now().timestamp()
        payload = {
            "type": "block_actions",
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM["id"]},
            "api_app_id": APP,
            "container": {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": False},
            "team": {"id": TEAM["id"], "domain": "acme"},
            "channel": {"id": channel, "name": self._in(channel).name},
            "response_url": f"https://hooks.slack.com/actions/{TEAM['id']}/1/{int(at)}",
            "actions": [{**pressed, "block_id": "b1", "action_ts": f"{at:.6f}"}],
        }
        form = "payload=" + quote(json.dumps(payload))
        self._sandbox.hooks.tell(CLICK, lambda _hook, _id: form)

    def archive(self, channel: str) -> None:
        """Close a channel."""
        self._in(channel).archived = True

    def unarchive(self, channel: str) -> None:
        """Open it again."""
        self._in(channel).archived = False

    def remove_app(self, channel: str) -> None:
        """Throw the app out of a channel."""
        self._in(channel).members.discard(self._sandbox.robot.id)

    def invite_app(self, channel: str) -> None:
        """Let the app into a channel."""
        self._in(channel).members.add(self._sandbox.robot.id)

    def open_channel(self, channel: str, name: str, private: bool = False) -> None:
        """Make a channel, without the app."""
        self._sandbox.workspace.open(channel, name, self._who, private=private)

    def erase(self, channel: str, ts: str) -> None:
        """Delete a message."""
        home = self._in(channel)
        home.messages.remove(home.find(ts))

    def uninstall(self) -> None:
        """Take the app out of the workspace: its token ends."""
        self._sandbox._event({"type": "app_uninstalled"})
        self._sandbox._event({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [self._sandbox.robot.id]}})
        self._sandbox.door.tokens.clear()


def _checked(body: Json) -> None:
    """What Slack refuses of blocks. Raises VendorError invalid_blocks."""
    blocks = body.get("blocks", [])
    if len(blocks) > MOST_BLOCKS or not all(_fits(block) for block in blocks):
        raise VendorError(200, "invalid_blocks")


def _fits(block: Json) -> bool:
    kind, fields, elements = block["type"], block.get("fields", []), block.get("elements", [])
    most = MOST_BUTTONS if kind == "actions" else MOST_IN_CONTEXT
    if len(fields) > MOST_FIELDS or len(elements) > most:
        return False
    texts = [(block["text"], LONGEST.get(kind, 0))] if "text" in block else []
    texts += [(field, LONGEST["fields"]) for field in fields]
    texts += [(button["text"], LONGEST["button"]) for button in elements if button["type"] == "button"]
    if not all(0 < len(text["text"]) <= longest for text, longest in texts):
        return False
    headed = kind != "header" or block["text"]["type"] == "plain_text"
    return headed and all(len(one.get(name, "")) <= LONGEST[name] for one in elements for name in _OF_A_BUTTON)


_OF_A_BUTTON = ("value", "action_id", "url")
