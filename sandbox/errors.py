"""How a fake vendor says no."""

from collections.abc import Mapping


class VendorError(Exception):
    """An error answer before it has a shape: `error_reply` of the vendor writes it as that vendor does.

    `code` is the vendor's own word for it and `field` the field that is wrong, where there are such.
    """

    def __init__(
        self,
        status: int,
        text: str,
        *,
        code: str = "",
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.code = code
        self.field = field
        self.headers = dict(headers or {})
