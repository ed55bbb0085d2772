"""What may be entered as the address of a site."""

from __future__ import annotations

import pytest

from connectors.sites import site_address

EXAMPLE = "https://name.vendor.example"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Acme.vendor.example/", "https://acme.vendor.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://sandbox:8080", "http://sandbox:8080"),
    ],
)
def test_a_site_is_an_address_without_a_path(given, kept):
    assert site_address(given, EXAMPLE) == kept


@pytest.mark.parametrize("given", ["acme", "ftp://acme", "https://acme.example/x", "https://me:secret@acme.example"])
def test_what_is_no_address_of_a_site_is_told_with_an_example(given):
    with pytest.raises(ValueError, match=EXAMPLE):
        site_address(given, EXAMPLE)


@pytest.mark.parametrize("given", ["http://acme.example", "https://acme.example?x=1", "https://acme.example#x"])
def test_what_goes_over_the_net_is_https_and_nothing_more(given):
    with pytest.raises(ValueError, match="must be an https address"):
        site_address(given, EXAMPLE)
