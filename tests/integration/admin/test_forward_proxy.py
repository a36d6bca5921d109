"""A provider's own forward proxy in the control plane: its password goes in and never comes out."""

from __future__ import annotations

import json

import pytest

from tests.fixtures.forward_proxy import HttpProxy
from tests.fixtures.servers import free_port
from tests.fixtures.upstream import Upstream
from tests.integration.admin.conftest import Admin

PASSWORD = "hunter2-and-more"


async def made(admin: Admin, **settings: object) -> dict:
    return await admin.make(
        "/providers", name="p", kind="openai", base_url="http://provider.test/v1", settings=settings
    )


def stored(admin: Admin) -> dict:
    ((settings,),) = [tuple(row.values()) for row in admin.sql("SELECT settings FROM providers WHERE name = 'p'")]
    return settings


async def test_the_password_is_kept_wrapped_and_shown_nowhere(admin: Admin) -> None:
    shown = await made(admin, proxy="http://gw@proxy.corp:3128", proxy_password=PASSWORD)
    assert shown["settings"] == {"proxy": "http://gw@proxy.corp:3128"}
    secret = stored(admin)["proxy_secret"]
    assert PASSWORD not in secret
    assert admin.runtime.box.unwrap_text(secret, f"{shown['id']}/proxy") == PASSWORD
    listed = (await admin.call("GET", "/providers")).text + (await admin.call("GET", "/audit-logs")).text
    assert "gw@proxy.corp" in listed
    assert PASSWORD not in listed and secret not in listed


async def test_other_changes_keep_it_and_another_proxy_forgets_it(admin: Admin) -> None:
    await made(admin, proxy="http://gw@proxy.corp:3128", proxy_password=PASSWORD)
    first = stored(admin)["proxy_secret"]
    assert (await admin.call("PATCH", "/providers/p", json={"settings": {"timeouts": {"total_ms": 9}}})).status_code == 200
    assert stored(admin)["proxy_secret"] == first
    answer = await admin.call("PATCH", "/providers/p", json={"settings": {"proxy_password": "another-one"}})
    assert answer.status_code == 200
    assert stored(admin)["proxy_secret"] != first
    assert (await admin.call("PATCH", "/providers/p", json={"settings": {"proxy": "http://gw@evil:1"}})).status_code == 200
    assert stored(admin) == {"timeouts": {"total_ms": 9}, "proxy": "http://gw@evil:1"}
    assert (await admin.call("PATCH", "/providers/p", json={"settings": {"proxy": None}})).status_code == 200
    assert stored(admin) == {"timeouts": {"total_ms": 9}}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"proxy": "http://gw:secretly@p:1"}, "must not hold a password"),
        ({"proxy": "socks5://p:1"}, "must begin with http://"),
        ({"proxy_password": PASSWORD}, "needs a settings.proxy with a user"),
        ({"proxy": "http://p:1", "proxy_password": PASSWORD}, "needs a settings.proxy with a user"),
        ({"proxy_secret": "AAAA"}, "there is no such setting"),
    ],
)
async def test_what_cannot_work_is_refused(admin: Admin, settings: dict, words: str) -> None:
    body = {"name": "p", "kind": "openai", "base_url": "http://provider.test/v1", "settings": settings}
    answer = await admin.call("POST", "/providers", json=body)
    assert answer.status_code == 400 and words in answer.json()["detail"]
    assert "secretly" not in answer.text and PASSWORD not in answer.text


async def test_the_test_call_takes_the_proxy_and_names_it_when_it_fails(admin: Admin) -> None:
    async with Upstream() as upstream, HttpProxy(f"gw:{PASSWORD}") as proxy:
        proxy.hosts["provider.test"] = ("127.0.0.1", upstream.port)
        await made(admin, proxy=proxy.with_user("gw"), proxy_password=PASSWORD)
        await admin.make("/models", name="mine", provider="p", upstream_model="gpt")
        result = (await admin.call("POST", "/providers/p/test")).json()
        assert (result["ok"], result["error"]) == (True, None)
        assert proxy.asked == ["POST http://provider.test/v1/chat/completions HTTP/1.1"]
        assert "proxy-authorization" not in upstream.requests[0].headers
        await admin.call("PATCH", "/providers/p", json={"settings": {"proxy_password": "wrong"}})
        failed = (await admin.call("POST", "/providers/p/test")).json()["error"]
        assert failed["code"] == "proxy_failed" and proxy.url in failed["message"] and "(407)" in failed["message"]
    gone = f"http://127.0.0.1:{free_port()}"
    await admin.call("PATCH", "/providers/p", json={"settings": {"proxy": gone}})
    answer = await admin.call("POST", "/providers/p/test")
    assert f"The proxy {gone} cannot be reached" in answer.json()["error"]["message"]
    assert "settings.proxy" in json.dumps(answer.json()["error"]["hint"])
