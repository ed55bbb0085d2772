"""How Teams is told things: a POST to a flow's URL, or the Bot Connector's REST API. Nothing is tried again here.

A flow's URL is a secret: no error tells more of it than its host.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from connectors.contract import (
    AuthFailed,
    ConnectorError,
    Context,
    Forbidden,
    JsonObject,
    NotFound,
    RateLimited,
    Transient,
)
from connectors.http import WORDS_KEPT, Response
from connectors.microsoft_teams.config import Bot
from connectors.response import plain_words

Windows = Sequence[tuple[int, timedelta]]
"""So many messages in so long."""

FLOW_PACE: Windows = ((3, timedelta(seconds=3)),)
"""Of one flow: Teams throttles more than four a second, and whoever has it post counts, too."""

BOT_PACE: Windows = ((7, timedelta(seconds=1)), (60, timedelta(seconds=30)))
"""Of a bot in one conversation, as Microsoft documents."""

SOON = timedelta(minutes=5)
"""A token that ends so soon is replaced."""

SCOPE = "https://api.botframework.com/.default"

SHORTEST_PART = 12
"""Characters of a part of a URL's path that is hidden by itself: the ids of flows are longer, its words are shorter."""

FLOW_ADVICE: Mapping[type[ConnectorError], str] = {
    AuthFailed: "the flow does not accept the signature of its URL. Copy the URL anew from the flow's trigger in Power "
    "Automate, where 'Anyone' has to be allowed to trigger it.",
    Forbidden: "the flow may not be triggered by us. Let 'Anyone' trigger it in Power Automate, or have the "
    "administrator allow such flows.",
    NotFound: "there is no such flow any more, or it is turned off (as when its owner has left). Turn it on in Power "
    "Automate, or create a new one and set its URL in the credentials.",
}
BOT_ADVICE: Mapping[type[ConnectorError], str] = {
    Forbidden: "The app may not write there: add it to the team or chat.",
    NotFound: "The conversation or message is not there, or the app is not in it: add the app to the team or chat.",
}


class Pace:
    """What a channel may be told so soon. It knows of its own messages only: the vendor has the last word. Several
    channels may be spoken to at once, and one may go by two names."""

    def __init__(self, windows: Windows, now: Callable[[], datetime]) -> None:
        self._windows, self._now, self._lock = windows, now, threading.Lock()
        self._said: defaultdict[str, deque[datetime]] = defaultdict(lambda: deque(maxlen=max(n for n, _ in windows)))

    def take(self, channel: str) -> None:
        """Count a message. Raises RateLimited for one too many: it is this channel that has to wait."""
        with self._lock:
            now, said = self._now(), self._said[channel]
            for most, time in self._windows:
                if len(said) >= most and said[-most] + time > now:
                    text = "Teams takes only so many messages for one channel."
                    raise RateLimited(text, said[-most] + time, "item")
            said.append(now)


class FlowClient:
    """The flows of Power Automate whose URLs we know. Raises the contract's errors."""

    def __init__(self, context: Context, urls: Sequence[str]) -> None:
        self._http = context.http
        self._pace = Pace(FLOW_PACE, context.now)
        self._http.limit_scope = lambda response: "item"
        self._http.errors_text = words
        for url in urls:
            self._http.hide(*secret_parts(url))

    def post(self, url: str, channel: str, message: JsonObject) -> None:
        """Have a message posted. Once this returns it is accepted: whether the flow could post it is not told."""
        self._pace.take(channel)
        try:
            self._http.request("POST", url, json=message)
        except (AuthFailed, Forbidden, NotFound) as error:
            # A URL's signature is its flow's own: that it is refused is this channel's trouble, and says nothing of the
            # others. As dead credentials it would come and go: nobody can ask whether it is good again.
            kind = Forbidden if isinstance(error, AuthFailed) else type(error)
            raise kind(f"Teams, channel {channel}: {FLOW_ADVICE[type(error)]}") from None


class _Token(msgspec.Struct):
    access_token: str
    expires_in: int


class _Posted(msgspec.Struct):
    id: str = ""


class _Created(msgspec.Struct, rename="camel"):
    id: str
    activity_id: str | None = None


class BotClient:
    """The Bot Connector, for one bot. Conversations are named by their ids. Raises the contract's errors."""

    def __init__(self, context: Context, credentials: Bot, region: str) -> None:
        self._http, self._now, self._bot = context.http, context.now, credentials
        self._login, self._keys = context.endpoints["login"], context.endpoints["keys"]
        self._base = f"{context.endpoints['bot']}/{region}/v3/conversations"
        self._pace = Pace(BOT_PACE, context.now)
        self._lock = threading.Lock()
        self._token, self._until = "", datetime.min.replace(tzinfo=UTC)
        # A conversation has limits of its own, and a message too many is its affair.
        self._http.limit_scope = lambda response: "item" if response.url.startswith(self._base) else "account"
        self._http.errors_text = words

    # --- access -----------------------------------------------------------------------------------------

    def token(self) -> str:
        """A token that lasts. Raises AuthFailed where Microsoft Entra gives none."""
        with self._lock:
            if self._until <= self._now():
                made = self._made()
                self._http.hide(made.access_token)
                self._token = made.access_token
                self._until = self._now() + max(timedelta(seconds=made.expires_in) - SOON, timedelta(0))
            return self._token

    def _made(self) -> _Token:
        url = f"{self._login}/{quote(self._bot.tenant_id, safe='')}/oauth2/v2.0/token"
        form = {
            "grant_type": "client_credentials",
            "client_id": self._bot.app_id,
            "client_secret": self._bot.app_password.get_secret_value(),
            "scope": SCOPE,
        }
        try:
            answer = self._http.request("POST", url, form=form, allow=(400, 401))
        except Transient as error:
            # Nothing was said yet: whatever became of the token, the message can be sent again.
            raise Transient(error.text, maybe_done=False, retry_at=error.retry_at) from None
        if answer.status != 200:
            said = f"Microsoft Entra gives the bot no token: {self._said(answer)}"
            raise AuthFailed(f"{said} Look at app_id, app_password and tenant_id.")
        return answer.decode(_Token)

    def keys(self) -> str:
        """The public keys of those who speak to bots, as they are published (a JWKS document)."""
        return json.dumps(self._http.request("GET", f"{self._keys}/v1/.well-known/keys").json())

    # --- conversations ----------------------------------------------------------------------------------

    def look(self, conversation: str) -> None:
        """See that the bot is in a conversation."""
        self._call("GET", f"{_part(conversation)}/pagedmembers", params={"pageSize": "50"})

    def begin(self, channel: str, activity: JsonObject) -> tuple[str, str]:
        """A new post in a channel of a team: the id of its thread, which is a conversation, and of the message."""
        self._pace.take(channel)
        body = {
            "isGroup": True,
            "bot": {"id": f"28:{self._bot.app_id}"},
            "channelData": {"channel": {"id": channel}},
            "activity": activity,
        }
        made = self._call("POST", "", json=body).decode(_Created)
        return made.id, made.activity_id or made.id.partition(";messageid=")[2]

    def say(self, conversation: str, activity: JsonObject) -> str:
        """A message in a thread or chat; its id."""
        self._pace.take(conversation.partition(";")[0])
        return self._call("POST", f"{_part(conversation)}/activities", json=activity).decode(_Posted).id

    def change(self, conversation: str, id_: str, activity: JsonObject) -> None:
        """Let a message say something else."""
        self._pace.take(conversation.partition(";")[0])
        self._call("PUT", f"{_part(conversation)}/activities/{quote(id_, safe='')}", json=activity)

    def _call(
        self, method: str, path: str, json: JsonObject | None = None, params: Mapping[str, str] | None = None
    ) -> Response:
        headers = {"Authorization": f"Bearer {self.token()}"}
        url = f"{self._base}/{path}" if path else self._base
        try:
            answer = self._http.request(method, url, headers=headers, json=json, params=params, allow=(412,))
        except (Forbidden, NotFound) as error:
            raise type(error)(f"{error.text} {BOT_ADVICE[type(error)]}") from None
        if answer.status == 412:
            # Two things were done to the conversation at once, and this one was not.
            raise Transient(f"Teams is busy with the conversation: {self._said(answer)}", maybe_done=False)
        return answer

    def _said(self, answer: Response) -> str:
        """The first line of what is wrong, without secrets: Entra's second one is full of ids."""
        return self._http.redact(words(answer)).partition("\n")[0][:WORDS_KEPT]


def _part(conversation: str) -> str:
    """Ids hold colons and semicolons."""
    return quote(conversation, safe="")


def secret_parts(url: str) -> list[str]:
    """All of a URL that must not show: itself, its path and the ids in it, and what its query holds."""
    parts = urlsplit(url)
    ids = [part for part in parts.path.split("/") if len(part) >= SHORTEST_PART]
    values = [value for name, value in parse_qsl(parts.query) if name == "sig"]
    return [url, parts.path, parts.query, *ids, *values]


def words(response: Response) -> str:
    """What Microsoft says is wrong: `{"error": {"code", "message"}}`, or OAuth's two fields."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return plain_words(response)
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return plain_words(response)
    return " ".join(str(error[name]) for name in ("code", "message") if error.get(name)) or plain_words(response)
