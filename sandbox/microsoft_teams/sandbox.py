"""A fake Microsoft Teams: one team with channels, flows that post in them, a bot, and people who press its buttons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from sandbox.auth import ApiToken
from sandbox.base import perform
from sandbox.errors import VendorError
from sandbox.hooks import Hook, Sending, alike
from sandbox.http import Call, Operation, Reply
from sandbox.limits import Limiter, Rate, Window
from sandbox.microsoft_teams import cards
from sandbox.microsoft_teams.speaker import OUTGOING, OUTGOING_TOKEN, Speaker
from sandbox.microsoft_teams.tenant import THREAD, Conversation, Flow, Json, Post, Tenant
from sandbox.oauth import OAuthError
from sandbox.switches import Switches
from sandbox.tracker import Change, Tracker
from sandbox.vendor import Ask, Endpoint, TrackerSandbox, usual_people
from sandbox.webhooks import RetryRule

APP_ID, APP_PASSWORD = "a0000000-0000-4000-8000-000000000001", "sandbox-password-0123456789abcdef"
TENANT, TEAM = "b0000000-0000-4000-8000-000000000001", "19:team-acme@thread.tacv2"
REGION = "teams"
CHANNELS = {"delivery": "19:channel-delivery@thread.tacv2", "incidents": "19:channel-incidents@thread.tacv2"}
CHAT = "19:chat-on-call@thread.v2"
TOKEN_SECONDS = 3600

FLOW_RATE, THREAD_RATE = Rate(4, 1.0), Rate(7, 1.0)
"""Of one flow, and of the bot in one conversation."""

TRIGGER = "{flow}/triggers/manual/paths/invoke"
FLOW_PATHS = {"workflows": f"/workflows/{TRIGGER}", "direct": f"/powerautomate/automations/direct/workflows/{TRIGGER}"}
CONVERSATIONS = "/{region}/v3/conversations"

ACTIVITY, MENTION = "activity", "mention"
ACTIONS = frozenset(
    {"press", "write", "mention", "erase", "add_bot", "remove_bot", "turn_off", "turn_on", "delete_flow", "sign_anew"}
)


@dataclass
class TeamsSwitches(Switches):
    """`flows_fail`: a flow is started, as its caller is told, and then can't post."""

    flows_fail: bool = False


class TeamsSandbox(TrackerSandbox):
    """A tenant with one team, in which an app with a bot is installed. `password` is the one the app has now."""

    name = "microsoft_teams"
    switches = TeamsSwitches
    rate = Rate(50, 1.0)
    retry_rule = RetryRule((), lambda status: False, accepts=lambda status: 200 <= status < 300)
    settings: TeamsSwitches

    def __init__(self, **options: Any) -> None:
        self.speaker = Speaker(APP_ID)
        super().__init__(**options)
        self.tenant = Tenant(self.clock)
        self.password = APP_PASSWORD
        self._tokens = self._told = 0
        self.flow_limits = Limiter(self.clock, self.settings, FLOW_RATE, self.rate_headers)
        self.thread_limits = Limiter(self.clock, self.settings, THREAD_RATE, self.rate_headers)
        for name, id_ in [*CHANNELS.items(), ("on-call", CHAT)]:
            self.tenant.conversations[id_] = Conversation(id_, name)
        for name, id_ in CHANNELS.items():
            self.add_flow(name, id_)

    def make_tracker(self) -> Tracker:
        """People, and nothing else."""
        return Tracker(self.clock, users=usual_people(), containers=(), statuses=())

    def on_change(self, change: Change) -> None:
        """There are no items."""

    # --- flows ------------------------------------------------------------------------------------------

    def add_flow(self, name: str, conversation: str) -> Flow:
        """A flow of this name that posts there."""
        rng = self.rng(f"flow {name}")
        flow = Flow(name, f"{rng.getrandbits(128):032x}", f"{rng.getrandbits(160):040x}", conversation)
        self.tenant.flows[flow.id] = flow
        return flow

    def flow(self, name: str) -> Flow:
        """A flow by its name. Raises VendorError 404."""
        for flow in self.tenant.flows.values():
            if flow.name == name:
                return flow
        raise VendorError(404, f"There is no flow {name!r}.")

    def flow_url(self, name: str, shape: str = "workflows") -> str:
        """Where a flow is started, in the older shape or the one that is given out now (`direct`)."""
        flow = self.flow(name)
        version = "2016-06-01" if shape == "workflows" else "1"
        query = f"api-version={version}&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={flow.signature}"
        return f"{self.url}{FLOW_PATHS[shape].format(flow=flow.id)}?{query}"

    def ways_in(self) -> dict[str, str]:
        """The flows' URLs, and the bot."""
        flows = {f"Flow {flow.name}": self.flow_url(flow.name) for flow in self.tenant.flows.values()}
        return {**flows, "Bot": f"{APP_ID} : {APP_PASSWORD}", "Tenant": TENANT, **CHANNELS}

    def _start(self, call: Call) -> Reply:
        flow = self.tenant.flows.get(call.params["flow"])
        if flow is None or not flow.on:
            code = "WorkflowNotFound" if flow is None else "WorkflowDisabled"
            raise VendorError(404, f"The workflow '{call.params['flow']}' can't be started.", code=code)
        if call.query.get("sig") != flow.signature:
            text = f"The authentication with {call.query.get('sig', 'nothing')} failed."
            raise VendorError(401, text, code="DirectApiAuthorizationRequired")
        self._count(self.flow_limits, flow.id)
        self.tenant.run(flow, _object(call), self.settings.flows_fail)
        return Reply(202)

    @staticmethod
    def _count(limits: Limiter, of: str) -> None:
        window = limits.take(of)
        if window is not None and window.refused:
            raise VendorError(429, "Too many requests.", code="TooManyRequests", headers=limits.headers(window))

    # --- access -----------------------------------------------------------------------------------------

    def operations(self) -> Sequence[Operation]:
        """The bot's API, the flows, and what gives and publishes what proves somebody."""
        flows = [Operation(f"flow.{name}", "POST", path, self._start) for name, path in FLOW_PATHS.items()]
        return [
            *super().operations(),
            *flows,
            Operation("token", "POST", "/{tenant}/oauth2/v2.0/token", self._token),
            Operation("keys", "GET", "/v1/.well-known/keys", lambda call: Reply(200, self.speaker.keys())),
        ]

    def _token(self, call: Call) -> Reply:
        form = dict(parse_qsl(call.body.decode()))
        if call.params["tenant"] != TENANT:
            raise OAuthError(400, "invalid_request", f"AADSTS90002: Tenant '{call.params['tenant']}' not found.")
        if form.get("grant_type") != "client_credentials" or "/.default" not in form.get("scope", ""):
            raise OAuthError(400, "invalid_request", "AADSTS900144: The request body lacks a parameter.")
        if (form.get("client_id"), form.get("client_secret")) != (APP_ID, self.password):
            raise OAuthError(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        self._tokens += 1
        token = f"bot-token-{self.rng(f'token {self._tokens}').getrandbits(128):032x}"
        ends = self.clock.now() + timedelta(seconds=TOKEN_SECONDS)
        self.door.add(ApiToken(token, self.robot.id, expires=ends))
        return Reply(200, {"token_type": "Bearer", "expires_in": TOKEN_SECONDS, "access_token": token})

    # --- the bot's API ----------------------------------------------------------------------------------

    def endpoints(self) -> Sequence[Endpoint]:
        """Conversations and what is said in them."""
        one = f"{CONVERSATIONS}/{{conversation}}"
        table: list[tuple[str, str, str, Callable[[Ask], Any]]] = [
            ("begin", "POST", CONVERSATIONS, self._begin),
            ("send", "POST", f"{one}/activities", self._send),
            ("reply", "POST", f"{one}/activities/{{activity}}", self._send),
            ("update", "PUT", f"{one}/activities/{{activity}}", self._update),
            ("members", "GET", f"{one}/pagedmembers", self._members),
        ]
        return [Endpoint(f"bot.{name}", method, path, handler) for name, method, path, handler in table]

    def error_reply(self, error: VendorError) -> Reply:
        """Microsoft's form of an error."""
        return Reply(error.status, {"error": {"code": error.code or str(error.status), "message": error.text}})

    def rate_headers(self, window: Window) -> dict[str, str]:
        """Nothing until it is too much."""
        return {"Retry-After": str(window.wait)} if window.refused else {}

    def _home(self, id_: str) -> Conversation:
        home = self.tenant.of_the_bot(id_)
        self._count(self.thread_limits, home.id)
        return home

    def _begin(self, ask: Ask) -> Reply:
        body = ask.json("activity", "channelData")
        home = self._home(body["channelData"].get("channel", {}).get("id", ""))
        post = self.tenant.post(home, APP_ID, _shown(body["activity"]))
        return Reply(201, {"id": f"{home.id}{THREAD}{post.id}", "activityId": post.id, "serviceUrl": self.service()})

    def _send(self, ask: Ask) -> Reply:
        home = self._home(ask.params["conversation"])
        root = ask.params.get("activity") or ask.params["conversation"].partition(THREAD)[2]
        return Reply(201, {"id": self.tenant.post(home, APP_ID, _shown(ask.json("type")), root).id})

    def _update(self, ask: Ask) -> Json:
        post = self._home(ask.params["conversation"]).find(ask.params["activity"])
        if post.by != APP_ID:
            raise VendorError(403, "The message is somebody else's.", code="BotNotMessageAuthor")
        post.message, post.edited = _shown(ask.json("type")), post.edited + 1
        return {"id": post.id}

    def _members(self, ask: Ask) -> Json:
        self._home(ask.params["conversation"])
        people = [{"id": f"29:{user.id}", "name": user.name} for user in self.tracker.users.values()]
        return {"members": people[: ask.number("pageSize", 50)]}

    # --- what is sent -----------------------------------------------------------------------------------

    def service(self) -> str:
        """The address by which the bot speaks of here."""
        return f"{self.url}/{REGION}/"

    def bot_hook(self, url: str) -> Hook:
        """Set the bot's messaging endpoint."""
        return self.hooks.register(url, "bot", events=frozenset({ACTIVITY}))

    def outgoing_hook(self, url: str, token: str = OUTGOING_TOKEN) -> Hook:
        """Make an outgoing webhook."""
        return self.hooks.register(url, OUTGOING, secret=token, events=frozenset({MENTION}))

    def sign(self, sending: Sending) -> dict[str, str]:
        """As the hook's kind wants it."""
        return self.speaker.sign(sending)

    def activity(self, who: str, home: Conversation, event: str, **content: Any) -> None:
        """Tell of something somebody did in a conversation."""
        user, now = self.tracker.users[who], self.clock.now()
        body = {
            "id": f"f:{self.rng(f'activity {self._told}').getrandbits(64):016x}",
            "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "channelId": "msteams",
            "serviceUrl": self.service(),
            "from": {"id": f"29:{user.id}", "name": user.name, "aadObjectId": user.id},
            "recipient": {"id": f"28:{APP_ID}", "name": "Turnbuckle"},
            "conversation": {"id": home.id, "isGroup": True, "tenantId": TENANT},
            "channelData": {"tenant": {"id": TENANT}, "team": {"id": TEAM, "name": "Acme"}, "channel": {"id": home.id}},
        }
        self._told += 1
        self.hooks.tell(event, alike(body | content))

    # --- what people do ---------------------------------------------------------------------------------

    def act(self, person: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do something as a person; see ACTIONS. Raises ControlError."""
        with self.tracker.lock:
            perform(partial(_Doer, self, self.tracker.user(person).id), ACTIONS, action, arguments, VendorError)
        return {"done": action}

    def said(self, channel: str) -> list[Post]:
        """What was posted in a conversation, by its name or id, in order."""
        return list(self.tenant.conversation(CHANNELS.get(channel, channel)).posts)

    def state(self) -> dict[str, Any]:
        """Every conversation and what was posted there; every flow and its runs, without what starts it."""
        conversations = [
            {"id": one.id, "name": one.name, "bot": one.bot, "posts": [post.json() for post in one.posts]}
            for one in self.tenant.conversations.values()
        ]
        flows = [
            {"name": flow.name, "conversation": flow.conversation, "on": flow.on, "runs": [vars(r) for r in flow.runs]}
            for flow in self.tenant.flows.values()
        ]
        return {"now": self.clock.now().isoformat(), "url": self.url, "conversations": conversations, "flows": flows}


class _Doer:
    """A person in the team."""

    def __init__(self, sandbox: TeamsSandbox, who: str) -> None:
        self._sandbox, self._who = sandbox, who
        self._tenant = sandbox.tenant

    def _told(self, home: Conversation, event: str, **content: Any) -> None:
        self._sandbox.activity(self._who, home, event, **content)

    def press(self, channel: str, message: str, button: str) -> None:
        """Press a button of a bot's message."""
        home = self._tenant.conversation(channel)
        post = home.find(message)
        pressed = next((one for one in cards.buttons(post.message) if one.get("verb") == button), None)
        if pressed is None:
            raise VendorError(404, f"The message has no button {button!r}.")
        action = {"type": "Action.Execute", "verb": button, "data": pressed.get("data", {}), "title": pressed["title"]}
        within = replace(home, id=f"{home.id}{THREAD}{post.root}") if home.id.endswith("@thread.tacv2") else home
        content = {"type": "invoke", "name": "adaptiveCard/action", "value": {"action": action, "trigger": "manual"}}
        self._told(within, ACTIVITY, **content, replyToId=post.id)

    def write(self, channel: str, text: str) -> None:
        """Write to the bot."""
        home = self._tenant.conversation(channel)
        self._tenant.post(home, self._who, {"type": "message", "text": text})
        self._told(home, ACTIVITY, type="message", text=text)

    def mention(self, channel: str, text: str) -> None:
        """Mention the outgoing webhook."""
        self._told(self._tenant.conversation(channel), MENTION, type="message", text=f"<at>Turnbuckle</at> {text}")

    def erase(self, channel: str, message: str) -> None:
        """Delete a message."""
        home = self._tenant.conversation(channel)
        home.posts.remove(home.find(message))

    def add_bot(self, channel: str) -> None:
        """Add the app to a conversation."""
        home = self._tenant.conversation(channel)
        home.bot = True
        self._told(home, ACTIVITY, type="installationUpdate", action="add")

    def remove_bot(self, channel: str) -> None:
        """Take the app out of a conversation."""
        home = self._tenant.conversation(channel)
        home.bot = False
        self._told(home, ACTIVITY, type="installationUpdate", action="remove")
        self._told(home, ACTIVITY, type="conversationUpdate", membersRemoved=[{"id": f"28:{APP_ID}"}])

    def turn_off(self, flow: str) -> None:
        """Turn a flow off."""
        self._sandbox.flow(flow).on = False

    def turn_on(self, flow: str) -> None:
        """Turn it on again."""
        self._sandbox.flow(flow).on = True

    def delete_flow(self, flow: str) -> None:
        """Delete a flow."""
        del self._tenant.flows[self._sandbox.flow(flow).id]

    def sign_anew(self, flow: str) -> None:
        """Give a flow another signature: URLs with the one before start nothing any more."""
        found = self._sandbox.flow(flow)
        found.signature = found.signature[::-1]


def _object(call: Call) -> Json:
    """The body of a call that starts a flow. Raises VendorError 400."""
    try:
        body = call.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("attachments"), list):
        raise VendorError(400, "The input body for the trigger is not what its schema says.", code="TriggerInputSchema")
    return body


def _shown(activity: Json) -> Json:
    """An activity that Teams shows. Raises VendorError."""
    problem = cards.problem(activity, bot=True)
    if problem == cards.TOO_LARGE:
        raise VendorError(413, "Request Entity too large.", code=problem)
    if problem is not None:
        raise VendorError(400, problem, code="BadArgument")
    return activity
