"""The GitHub connector: so far it can tell whether credentials work."""

from typing import ClassVar

import msgspec

from connectors.contract import Account, ConsentPending, Context, Manifest
from connectors.github.config import InstallationCredentials
from connectors.github.manifest import API_VERSION, MANIFEST


class User(msgspec.Struct):
    """The fields used of `GET /user`."""

    id: int
    login: str


class GitHubConnector:
    """GitHub, for one integration."""

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        self._credentials = context.credentials
        self._http = context.http
        self._api = context.endpoints["api"]

    def check(self) -> Account:
        """Who the token speaks for. Raises AuthFailed, Forbidden, RateLimited, Transient; ConsentPending for an
        installation, which nothing here can prove yet."""
        if isinstance(self._credentials, InstallationCredentials):
            raise ConsentPending(
                "GitHub has not confirmed the App's installation yet; until then a token can be used instead."
            )
        headers = {
            "Authorization": f"Bearer {self._credentials.token.get_secret_value()}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": API_VERSION,
        }
        response = self._http.request("GET", f"{self._api}/user", headers=headers)
        user = response.decode(User)
        return Account(id=str(user.id), name=user.login, scopes=_scopes(response.headers.get("x-oauth-scopes", "")))


def _scopes(header: str) -> tuple[str, ...]:
    """The scopes of a classic token; GitHub names none for the other kinds."""
    return tuple(scope.strip() for scope in header.split(",") if scope.strip())
