"""Azure DevOps' REST API as all connectors of it speak it: whose credentials, one call, and what a refusal looks like.

An organization's address is `{api}/{organization}`; for a server of one's own `api` is its address (an operator's
override of the endpoint) and the organization is the collection.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import Field, SecretStr

from connectors.contract import AuthFailed, Context, Credentials, CredentialsModel, OAuthFacts
from connectors.credentials import OAuthTokens
from connectors.http import Params
from connectors.response import Response, plain_words
from connectors.rest import Endpoint, RestClient

API_VERSION = "7.1"
"""Azure answers no call that does not name a version."""

READ_TIMEOUT = 60.0
"""Azure slows a busy caller down by up to 30 s a call before it refuses one, and asks for this much patience."""

RESOURCE = "499b84ac-1321-427f-aa17-267ca6975798"
"""Azure DevOps itself, as Entra knows it."""

SCOPES = (f"{RESOURCE}/.default", "offline_access")

ENDPOINTS = {"api": "https://dev.azure.com", "login": "https://login.microsoftonline.com/organizations"}
"""`login` ends with the tenant; an app of a single tenant needs that tenant's id there."""

OAUTH = OAuthFacts(
    authorize_url="{login}/oauth2/v2.0/authorize",
    token_url="{login}/oauth2/v2.0/token",  # noqa: S106 - an address
    scopes=SCOPES,
    credentials="oauth2",
)

ORGANIZATION = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"

SIGN_IN = (
    "Azure DevOps answered with its sign-in page: the token is wrong, has expired or was made for another "
    "organization. Make a new one for this organization, or give consent again."
)

_SIGN_IN_STATUSES = frozenset({203, 302})


class PatCredentials(Credentials):
    """A personal access token of one organization; Azure DevOps, User settings, Personal access tokens."""

    personal_access_token: SecretStr = Field(min_length=1)


class OAuthCredentials(OAuthTokens):
    """Microsoft Entra, authorization code."""


class ServicePrincipal(Credentials):
    """An app in Entra that acts in its own name; it must be a user of the organization. Its tokens are asked for anew
    when they are needed: there is nothing to refresh."""

    tenant_id: str = Field(pattern=r"^[A-Za-z0-9.-]{1,255}$", description="The tenant's id or domain.")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)


CREDENTIALS: Mapping[str, CredentialsModel] = {
    "pat": PatCredentials,
    "service_principal": ServicePrincipal,
    "oauth2": OAuthCredentials,
}
"""Mode -> model; each takes what the others refuse."""


class Me(msgspec.Struct, rename="camel"):
    """Whose credentials they are."""

    id: str
    provider_display_name: str = ""


class _Token(msgspec.Struct):
    access_token: str


class Project(msgspec.Struct):
    """A project of the organization."""

    id: str
    name: str


class AzureClient(RestClient):
    """Speaks for one credential in one organization. Paths begin without a slash."""

    def __init__(self, context: Context, organization: str) -> None:
        base = f"{context.endpoints['api'].rstrip('/')}/{quote(organization, safe='')}/"
        super().__init__(context.http, base, cache(self._authorized))
        self.http.read_timeout = READ_TIMEOUT
        self._credentials: PatCredentials | ServicePrincipal | OAuthCredentials = context.credentials
        self._login = urlsplit(context.endpoints["login"])
        self.project = cache(self._project)

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        version: str = API_VERSION,
        params: Params | None = None,
        allow: Collection[int] = (),
        **more: Any,
    ) -> Response:
        """One call below the organization.

        Azure often answers bad credentials with a page to sign in, with a status of success: AuthFailed for anything
        that is not JSON.
        """
        more |= {"params": {"api-version": version, **(params or {})}, "allow": {*_SIGN_IN_STATUSES, *allow}}
        response = super().call(method, path, headers={"X-TFS-FedAuthRedirect": "Suppress", **(headers or {})}, **more)
        if response.status in _SIGN_IN_STATUSES or _is_a_page(response):
            raise AuthFailed(SIGN_IN)
        return response

    me = Endpoint("GET _apis/connectionData", Me, "authenticatedUser", version=f"{API_VERSION}-preview")

    def _project(self, name: str) -> Project:
        """A project by name or id; asked for once. Raises NotFound."""
        return self.get(f"_apis/projects/{part(name)}", Project)

    def _authorized(self) -> str:
        if isinstance(self._credentials, PatCredentials):
            pair = f":{self._credentials.personal_access_token.get_secret_value()}"
            return "Basic " + b64encode(pair.encode()).decode()
        if isinstance(self._credentials, ServicePrincipal):
            return f"Bearer {self._own_token(self._credentials)}"
        return self._credentials.authorization()

    def _own_token(self, principal: ServicePrincipal) -> str:
        """A token of the app's own. Raises AuthFailed."""
        url = f"{self._login.scheme}://{self._login.netloc}/{part(principal.tenant_id)}/oauth2/v2.0/token"
        form = {
            "grant_type": "client_credentials",
            "client_id": principal.client_id,
            "client_secret": principal.client_secret.get_secret_value(),
            "scope": SCOPES[0],
        }
        response = self.http.request("POST", url, form=form, allow=(400, 401))
        if response.status != 200:
            raise AuthFailed(self.http.redact(f"Entra gives the app no token: {plain_words(response)}"))
        return response.decode(_Token).access_token


def part(text: str) -> str:
    """One part of a path, quoted."""
    return quote(text, safe="")


def _is_a_page(response: Response) -> bool:
    """Whether a success is not what a program gets."""
    return response.status < 300 and bool(response.content) and "json" not in response.headers.get("content-type", "")
