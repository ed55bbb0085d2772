"""The Microsoft Teams connector: people are told things by flows or by a bot; a bot hears what they press."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import ClassVar, Protocol
from urllib.parse import urlsplit

from connectors.contract import (
    Account,
    Context,
    JsonObject,
    Manifest,
    MessageRef,
    NotFound,
    Notification,
    Reach,
    Rejected,
)
from connectors.microsoft_teams import webhook
from connectors.microsoft_teams.cards import check_card, message
from connectors.microsoft_teams.client import BotClient, FlowClient
from connectors.microsoft_teams.config import DEFAULT, Bot, Flows, TeamsConfig
from connectors.microsoft_teams.manifest import MANIFEST

THREADED = ("@thread.tacv2", "@thread.skype")
"""What ids of a team's channels end with: a message there begins a thread. In chats it does not."""


class _Way(Protocol):
    """How things are said: by flows or by a bot."""

    bot: bool
    reach: Reach

    def check(self) -> Account: ...

    def send(self, made: JsonObject, notification_id: str, channel: str, under: MessageRef | None) -> MessageRef: ...

    def update(self, ref: MessageRef, made: JsonObject) -> MessageRef: ...


class TeamsConnector:
    """Teams, for one integration."""

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        flows = isinstance(context.credentials, Flows)
        self._way: _Way = ByFlow(context) if flows else ByBot(context)

    def check(self) -> Account:
        """Whose credentials they are. Flows can't be asked: their URLs are looked at, and the first message proves
        them."""
        return self._way.check()

    # --- Notifier -----------------------------------------------------------------------------------

    def reach(self) -> Reach:
        """Nothing with flows; with a bot messages can be changed and answered, and not looked for."""
        return self._way.reach

    def send(self, notification: Notification, channel: str, under: MessageRef | None = None) -> MessageRef:
        """One message. With a flow it is accepted, which is not posted; its id is the notification's, as Teams gives
        none."""
        return self._way.send(self._made(notification), notification.id, channel, under)

    def update(self, ref: MessageRef, notification: Notification) -> MessageRef:
        """The whole message anew. Raises NotFound for what a flow has said: that can't be changed."""
        return self._way.update(ref, self._made(notification))

    def find_sent(
        self, notification_id: str, channel: str, since: datetime, under: MessageRef | None = None
    ) -> MessageRef | None:
        """Nobody may look: a bot reads only what is said to it."""
        return None

    def _made(self, notification: Notification) -> JsonObject:
        made = message(notification, self._way.bot)
        check_card(made, self._way.bot)
        return made

    # --- WebhookReceiver ----------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(webhook.handshake)


class ByFlow:
    """Each channel has a flow that posts in it."""

    bot = False
    reach = Reach()

    def __init__(self, context: Context) -> None:
        self._config: TeamsConfig = context.config
        self._flows: Flows = context.credentials
        urls = [self._flows.flow(name) or "" for name in self._flows.names()]
        self._client = FlowClient(context, urls)

    def check(self) -> Account:
        """A flow is nobody: the account is the default channel's flow, by a mark that does not tell its URL."""
        names = self._flows.names()
        for name in names:
            self._flow(name)
        self._flow("")
        mark = sha256(urlsplit(self._flow(DEFAULT)[1]).path.encode()).hexdigest()[:16]
        return Account(f"flow:{mark}", f"Flows for {', '.join(names)}")

    def send(self, made: JsonObject, notification_id: str, channel: str, under: MessageRef | None) -> MessageRef:
        """Have the channel's flow post it."""
        name, url = self._flow(channel)
        self._client.post(url, name, made)
        return MessageRef(name, notification_id)

    def update(self, ref: MessageRef, made: JsonObject) -> MessageRef:
        """It can't be done."""
        raise NotFound("What a flow has posted can't be changed.")

    def _flow(self, channel: str) -> tuple[str, str]:
        """A channel's name and URL. Raises NotFound, Rejected."""
        name = channel or self._config.default_channel or DEFAULT
        url = self._flows.flow(name)
        if url is None:
            known = ", ".join(self._flows.names())
            raise NotFound(f"No flow posts in {name}: there are {known}. Add its URL to `urls` of the credentials.")
        problem = self._config.host_problem(url)
        if problem:
            raise Rejected(f"Nothing is sent to the URL of the flow for {name}: {problem}.")
        return name, url


class ByBot:
    """A bot that is in the teams and chats."""

    bot = True
    reach = Reach(edit=True, thread=True)

    def __init__(self, context: Context) -> None:
        self._config: TeamsConfig = context.config
        self._bot: Bot = context.credentials
        self._client = BotClient(context, self._bot, self._config.region)

    def check(self) -> Account:
        """The app and its tenant, and the keys of those who speak to it. When it is connected it has to be where things
        are said by default; that it is taken out of there later is that channel's trouble, and not the others'."""
        if self._bot.bot_keys is None:
            self._client.look(self._place(""))
        else:
            self._client.token()
        account = f"{self._bot.app_id}@{self._bot.tenant_id}"
        return Account(account, f"Bot {self._bot.app_id}", learned={"bot_keys": self._client.keys()})

    def send(self, made: JsonObject, notification_id: str, channel: str, under: MessageRef | None) -> MessageRef:
        """A post of its own, which begins a thread in a team's channel, or an answer. The thread is the conversation
        that all in it are in: what is pressed tells it so."""
        place = under.channel if under else self._place(channel)
        if place.endswith(THREADED):
            return MessageRef(*self._client.begin(place, made))
        return MessageRef(place, self._client.say(place, made))

    def update(self, ref: MessageRef, made: JsonObject) -> MessageRef:
        """The whole activity anew."""
        self._client.change(ref.channel, ref.id, made)
        return ref

    def _place(self, channel: str) -> str:
        """A channel's conversation. Raises NotFound."""
        place = self._config.conversation(channel)
        if not place.startswith(("19:", "a:")):
            known = ", ".join(self._config.channels) or "none"
            named = f"{place!r} is neither the id of a conversation nor a name" if place else "No channel is named"
            raise NotFound(f"{named}; `channels` of the config has: {known}.")
        return place
