"""Every code by which the engine says why, as a sentence for people, and what they can do about it."""

from __future__ import annotations

from collections.abc import Mapping

from sync.reconcile import Reason

SENTENCES: Mapping[str, str] = {
    Reason.NO_CHANGE: "nobody changed it",
    Reason.CHANGED_THERE: "it was changed at the vendor",
    Reason.CHANGED_HERE: "it was changed here",
    Reason.CHANGED_ALIKE: "both sides changed it to the same value",
    Reason.SAME_MEANING: "the vendor's value is another one, but means the same here",
    Reason.REMAPPED: "the mapping gives the vendor's value another meaning now",
    Reason.REFUSED_THERE: "the vendor refused this very value",
    Reason.CONFLICT_LATEST: "both sides changed it; the later change won",
    Reason.CONFLICT_PLATFORM: "both sides changed it; the platform wins by the integration's rule",
    Reason.CONFLICT_EXTERNAL: "both sides changed it; the vendor wins by the integration's rule",
    Reason.CONFLICT_REFUSED: "both sides changed it; the vendor had refused ours",
    Reason.CONFLICT_CREATED: "the vendor started the new item with another value; the task's stands",
}
"""Reason code of a field's decision -> what happened."""

NEXT_STEPS: Mapping[str, str] = {
    "auth_failed": "Give the integration working credentials; the write follows by itself.",
    "consent_pending": "Give consent at the vendor; the write follows by itself.",
    "reauth_required": "Give consent or credentials again, as the text says; then all goes on by itself.",
    "missing_scopes": "Give consent again with the missing scopes allowed.",
    "transient": "Nothing to do: it is tried again by itself.",
    "rate_limited": "Nothing to do: the vendor says when it may be tried again.",
    "conflict": "Nothing to do: the item is read again and decided anew.",
    "bad_payload": "Report this with the worker's log: the vendor answered in a form the connector does not know.",
    "forbidden": "Allow the connected account to do this at the vendor, then change the task once more.",
    "rejected": "Mend what the vendor objects to here or there, then change the task once more.",
    "not_found": "Look whether the item, or the project it belongs in, is still there and visible to the account.",
    "connector_fault": "Report this with the worker's log; it is tried again by itself.",
    "create_unclear": "Nothing to do: its marker is looked for before it is created again.",
    "deleted_there": "Nothing to do. To have it at the vendor again, make a new task.",
    "unreachable": "Allow the connected account to see the item.",
    "disconnected": "Connect the account again.",
}
"""Reason code of a binding -> what somebody can do."""

MESSAGE_STEPS: Mapping[str, str] = {
    "not_found": "Look whether the channel is still there and the app in it, or change the route; then test it.",
    "forbidden": "Allow the app to write there, or change the route; then test it.",
    "rejected": "Mend what the vendor objects to in the text, then send the message again.",
    "auth_failed": "Give the integration working credentials; the message follows by itself.",
    "transient": "Nothing to do: it is tried again by itself.",
    "rate_limited": "Nothing to do: the vendor says when it may be tried again.",
    "conflict": "Nothing to do: it is tried again by itself.",
    "bad_payload": "Report this with the worker's log, and look in the channel whether the message is there.",
    "connector_fault": "Report this with the worker's log.",
    "too_old": "Nothing to do: it is no news any more. Look why nothing could be said for a day.",
    "unclear": "Look in the channel, and send the message again if it is not there.",
    "unfinished": "Test the route once more.",
    "not_usable": "Look at the integration's status, and mend what it names.",
    "no_notifier": "Choose another integration for the route.",
    "route_disabled": "Enable the route to be told what happens from then on.",
}
"""Reason code of a message -> what somebody can do."""

TRIED_AGAIN = "Nothing to do: it is tried again by itself."
GIVEN_UP = "It was given up. Mend the cause, then change the task once more, or sync the integration by hand."


def sentence(code: str) -> str:
    """What a field's reason code means."""
    return SENTENCES.get(code, code)


def next_step(code: str, *, given_up: bool) -> str:
    """What to do about a binding's reason code."""
    return NEXT_STEPS.get(code, GIVEN_UP if given_up else TRIED_AGAIN)
