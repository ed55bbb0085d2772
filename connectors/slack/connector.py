"""The Slack connector: people are told things in channels, and what they press comes back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from connectors.contract import Account, Context, Forbidden, JsonObject, Manifest, MessageRef, Notification, Reach
from connectors.slack import webhook
from connectors.slack.blocks import message
from connectors.slack.client import SlackClient
from connectors.slack.config import SlackConfig
from connectors.slack.manifest import MANIFEST

EVENT = "turnbuckle_notification"
"""The type of the metadata in which a message bears its notification's id."""

CLOCKS_APART = timedelta(seconds=60)
"""How far Slack's clock may be behind ours when a message is looked for."""


class SlackConnector:
    """Slack, for one integration."""

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        self._config: SlackConfig = context.config
        self._client = SlackClient(context)

    def check(self) -> Account:
        """Whose token it is: one of the whole workspace's, whoever installed the app."""
        who = self._client.identity()
        learned = {"team_id": who.team_id, **({"bot_id": who.bot_id} if who.bot_id else {})}
        return Account(who.team_id, f"{who.user} in {who.team}", learned=learned)

    # --- Notifier -----------------------------------------------------------------------------------

    def reach(self) -> Reach:
        """All of it."""
        return Reach(edit=True, thread=True, find=True)

    def send(self, notification: Notification, channel: str, under: MessageRef | None = None) -> MessageRef:
        """One message. Where the app is not in the channel it joins, which it can if the channel is public; the message
        that was refused for that was not said."""
        place = under.channel if under else self._config.channel(channel)
        thread = {"thread_ts": under.id} if under else {}
        body = self._body(notification, place) | thread | {"unfurl_links": False, "unfurl_media": False}
        try:
            posted = self._client.post(body)
        except Forbidden as refused:
            if "not_in_channel" not in refused.text or not self._config.join:
                raise
            self._client.join(place)
            posted = self._client.post(body)
        return MessageRef(posted.channel, posted.ts)

    def update(self, ref: MessageRef, notification: Notification) -> MessageRef:
        """The whole message anew: Slack keeps nothing of the old blocks."""
        posted = self._client.update(self._body(notification, ref.channel) | {"ts": ref.id})
        return MessageRef(posted.channel, posted.ts)

    def find_sent(
        self, notification_id: str, channel: str, since: datetime, under: MessageRef | None = None
    ) -> MessageRef | None:
        """By its metadata, among the channel's messages or the answers to one."""
        place = under.channel if under else self._config.channel(channel)
        oldest = f"{(since - CLOCKS_APART).timestamp():.6f}"
        pages = self._client.replies(place, under.id, oldest) if under else self._client.history(place, oldest)
        for page in pages:
            for one in page:
                if one.metadata and one.metadata.event_payload.get("id") == notification_id:
                    return MessageRef(place, one.ts)
        return None

    def _body(self, notification: Notification, channel: str) -> JsonObject:
        mention = notification.severity in self._config.mention_on and not notification.over
        return {
            "channel": channel,
            **message(notification, mention),
            "metadata": {"event_type": EVENT, "event_payload": {"id": notification.id}},
        }

    # --- WebhookReceiver, AppWebhookReceiver --------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(webhook.handshake)
    account = staticmethod(webhook.account)
