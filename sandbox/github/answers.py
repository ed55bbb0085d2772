"""The forms of the fake GitHub's answers and calls: tokens, links to other pages, lists that did not change."""

import hashlib
import json
from urllib.parse import urlencode

from sandbox.http import NO_BODY, Call, Reply


def token_of(call: Call) -> str:
    """The token a call came with."""
    return call.headers.get("authorization", "").partition(" ")[2]


def linked(call: Call, page: int) -> str:
    """The address of another page of a numbered list."""
    query = {**call.query, "page": page}
    return f"{call.base_url}{call.path}?{urlencode(query)}"


def conditional(call: Call, reply: Reply) -> Reply:
    """A list that is as it was when it had this tag costs nothing, and is not sent again."""
    if call.method != "GET" or reply.status != 200:
        return reply
    tag = 'W/"' + hashlib.sha256(json.dumps(reply.body, sort_keys=True).encode()).hexdigest() + '"'
    if call.headers.get("if-none-match") == tag:
        return Reply(304, NO_BODY, {**reply.headers, "ETag": tag})
    reply.headers = {**reply.headers, "ETag": tag}
    return reply
