"""What is taken for a flow's URL, and what is said of one that is not."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from connectors.microsoft_teams.config import Bot, Flows, TeamsConfig

OLD = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/0123456789abcdef0123456789abcdef/triggers/manual/paths/"
    "invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=CANARY-signature"
)
NEW = (
    "https://default0123.4.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/"
    "0123456789abcdef0123456789abcdef/triggers/manual/paths/invoke?api-version=1&sig=CANARY-signature"
)
GOVERNMENT = NEW.replace("powerplatform.com", "gov.powerplatform.microsoft.us")


@pytest.mark.parametrize("url", [OLD, NEW])
def test_both_shapes_of_a_flows_url_are_taken(url: str) -> None:
    flows = Flows(url=SecretStr(url), urls={"incidents": SecretStr(NEW)})
    assert (flows.flow(""), flows.flow("default"), flows.flow("incidents"), flows.flow("other")) == (
        url,
        url,
        NEW,
        None,
    )
    assert flows.names() == ["default", "incidents"]
    assert TeamsConfig().host_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.webhook.office.com/webhookb2/a@b/IncomingWebhook/c/d?sig=x",
        "https://outlook.office.com/webhook/a@b/IncomingWebhook/c/d",
        "https://outlook.office365.com/webhook/a@b/IncomingWebhook/c/d",
        "https://proxy.example/webhookb2/a@b/incomingWebhook/c/d?sig=x",
    ],
)
def test_an_office_connectors_url_is_refused_with_what_to_do_instead(url: str) -> None:
    for given in ({"url": url}, {"url": OLD, "urls": {"incidents": url}}):
        with pytest.raises(ValidationError, match="switched off: create a flow"):
            Flows.model_validate(given)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://a.logic.azure.com/x?sig=x", "this is no URL"),
        ("CANARY", "this is no URL"),
        ("", "this is no URL"),
        (OLD.partition("&sig")[0], "no signature"),
    ],
)
def test_what_is_no_flows_url_is_refused(url: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Flows(url=SecretStr(url))


@pytest.mark.parametrize(
    "url",
    [
        OLD.replace("https:", "http:"),
        OLD.replace("logic.azure.com", "evil.example"),
        OLD.replace("logic.azure.com", "evillogic.azure.com.evil.example"),
        OLD.replace("prod-01.westeurope.logic.azure.com", "evil-logic.azure.com"),
        "https://logic.azure.com@evil.example/workflows/a?sig=x",
        GOVERNMENT,
    ],
)
def test_only_power_automates_hosts_are_told_anything(url: str) -> None:
    problem = TeamsConfig().host_problem(url)
    assert problem is not None
    assert "CANARY" not in problem


def test_a_sovereign_clouds_hosts_can_be_added_and_a_host_beside_us_by_its_whole_name() -> None:
    cloud = TeamsConfig(hosts=["gov.powerplatform.microsoft.us", "localhost"])
    assert cloud.host_problem(GOVERNMENT) is None
    assert cloud.host_problem("http://localhost:8801/workflows/a?sig=x") is None
    assert cloud.host_problem("http://sub.localhost:8801/workflows/a?sig=x") is not None


def test_no_repr_and_no_error_shows_what_starts_a_flow() -> None:
    flows = Flows(url=SecretStr(OLD), urls={"incidents": SecretStr(NEW)})
    assert "CANARY" not in repr(flows) + str(flows) + flows.model_dump_json()
    with pytest.raises(ValidationError) as refused:
        Flows.model_validate({"url": OLD, "urls": {"a": "CANARY"}})
    assert "CANARY" not in str(refused.value)


def test_a_bots_conversations_are_ids_and_names_for_them() -> None:
    config = TeamsConfig(default_channel="ops", channels={"ops": "19:abc_d@thread.tacv2", "me": "a:1-x"})
    assert config.conversation("") == config.conversation("ops") == "19:abc_d@thread.tacv2"
    assert config.conversation("19:x@thread.v2") == "19:x@thread.v2"
    with pytest.raises(ValidationError):
        TeamsConfig(channels={"ops": "Operations"})
    with pytest.raises(ValidationError):
        TeamsConfig(region="teams/../evil")
    with pytest.raises(ValidationError):
        Bot(app_id="a/b", app_password=SecretStr("x"), tenant_id="t")
