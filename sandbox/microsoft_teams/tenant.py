"""What a Microsoft 365 tenant holds: channels and chats, who speaks in them, and flows that post."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.clock import Clock
from sandbox.errors import VendorError
from sandbox.microsoft_teams import cards

Json = dict[str, Any]

THREAD = ";messageid="


@dataclass
class Post:
    """A message. `root` is the id of the message whose thread it is in, its own for a new post."""

    id: str
    root: str
    by: str
    message: Json
    edited: int = 0

    def texts(self) -> list[str]:
        """What can be read in it."""
        return cards.texts(self.message)

    def json(self) -> Json:
        """As the state shows it."""
        return {"id": self.id, "root": self.root, "by": self.by, "edited": self.edited, "message": self.message}


@dataclass
class Conversation:
    """A channel of the team, or a chat. `bot`: the app was added to it."""

    id: str
    name: str
    bot: bool = True
    posts: list[Post] = field(default_factory=list)

    def find(self, id_: str) -> Post:
        """A message by its id. Raises VendorError 404."""
        for post in self.posts:
            if post.id == id_:
                return post
        raise VendorError(404, "The message was not found.", code="MessageNotFound")


@dataclass
class Run:
    """One run of a flow: what it was given, and why it failed, if it did."""

    message: Json
    failed: str | None


@dataclass
class Flow:
    """A flow that posts in a channel. Whoever has its signature may start it."""

    name: str
    id: str
    signature: str
    conversation: str
    on: bool = True
    runs: list[Run] = field(default_factory=list)


class Tenant:
    """One tenant with one team."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0
        self.conversations: dict[str, Conversation] = {}
        self.flows: dict[str, Flow] = {}

    def conversation(self, id_: str) -> Conversation:
        """By its id; one of a thread is in its channel. Raises VendorError 404."""
        found = self.conversations.get(id_.partition(THREAD)[0])
        if found is None:
            raise VendorError(404, "The conversation was not found.", code="ConversationNotFound")
        return found

    def of_the_bot(self, id_: str) -> Conversation:
        """One the app was added to. Raises VendorError."""
        found = self.conversation(id_)
        if not found.bot:
            text = "The bot is not part of the conversation roster."
            raise VendorError(403, text, code="BotNotInConversationRoster")
        return found

    def post(self, conversation: Conversation, by: str, message: Json, root: str = "") -> Post:
        """Post something, by itself or in the thread of `root`. Raises VendorError."""
        if root:
            conversation.find(root)
        self._count += 1
        # Ids are milliseconds, and no two of a tenant's are alike here.
        id_ = str(int(self._clock.now().timestamp() * 1000) + self._count)
        made = Post(id_, root or id_, by, message)
        conversation.posts.append(made)
        return made

    def run(self, flow: Flow, message: Json, fails: bool) -> Run:
        """Start a flow: it posts, or fails without a word to whoever started it."""
        failed = "The flow run failed." if fails else cards.problem(message, bot=False)
        if failed is None:
            self.post(self.conversations[flow.conversation], f"flow {flow.name}", message)
        flow.runs.append(Run(message, failed))
        return flow.runs[-1]
