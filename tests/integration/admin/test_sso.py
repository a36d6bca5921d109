"""Single sign-on against a real OpenID provider."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from scutum_server.access.sso.issuer import Issuer
from scutum_server.access.sso.models import ProviderDown, SsoFailed
from scutum_server.settings import DatabaseSettings, RedisSettings
from tests.fixtures.licences import Authority
from tests.fixtures.oidc import CALLBACK, SECRET, Browser, OpenId, running_openid, signing_key
from tests.integration.admin.conftest import API, Admin, admin_settings, running

RULES = [
    {"group": "acme-admins", "role": "admin", "org": "acme"},
    {"group": "oncall", "role": "operator"},
]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenId]:
    with running_openid(tmp_path_factory.mktemp("oidc")) as running_provider:
        yield running_provider


@pytest.fixture
def openid(provider: OpenId) -> OpenId:
    provider.people()
    return provider


@pytest.fixture
async def licensed(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> AsyncIterator[tuple[Admin, Authority]]:
    authority = Authority()
    settings = admin_settings(database, redis_settings, license_trust=authority.trusted(tmp_path))
    async with running(settings) as admin:
        yield admin, authority


@pytest.fixture
async def admin(licensed: tuple[Admin, Authority], openid: OpenId) -> Admin:
    """A control plane with a Business licence, single sign-on set up, and an org acme."""
    gateway, authority = licensed
    await gateway.make("/license/activate", 200, license_key=authority.issue(tier="business"))
    await gateway.make("/orgs", name="acme")
    await set_up(gateway, openid)
    return gateway


async def set_up(admin: Admin, openid: OpenId, **changes) -> httpx.Response:
    body = {
        "issuer": openid.issuer,
        "client_id": "scutum",
        "client_secret": SECRET,
        "redirect_uris": [CALLBACK],
        "scopes": ["openid", "email", "profile", "groups"],
        "rules": RULES,
        **changes,
    }
    answer = await admin.call("PUT", "/sso", json=body)
    assert answer.status_code == 200, answer.text
    return answer


async def begin(admin: Admin) -> dict:
    return (await admin.http.post(f"{API}/auth/sso/start", json={"redirect_uri": CALLBACK})).json()


async def sent_back(begun: dict, who: str = "ada") -> dict:
    """What the browser of somebody brings back from the provider."""
    return await asyncio.to_thread(Browser(who).log_in, begun["authorization_url"])


async def end(admin: Admin, begun: dict, brought: dict, **changes) -> httpx.Response:
    body = {**brought, "flow_token": begun["flow_token"], **changes}
    return await admin.http.post(f"{API}/auth/sso/callback", json=body)


async def log_in(admin: Admin, who: str) -> httpx.Response:
    begun = await begin(admin)
    return await end(admin, begun, await sent_back(begun, who))


async def me(admin: Admin, answer: httpx.Response) -> dict:
    bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
    return (await admin.call("GET", "/auth/whoami", headers=bearer)).json()


async def test_a_browser_logs_in_with_a_code_and_its_groups_give_the_role(admin: Admin) -> None:
    begun = await begin(admin)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun["authorization_url"]).query).items()}
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    assert asked["state"] == begun["state"] and len(asked["nonce"]) >= 40
    answer = await end(admin, begun, await sent_back(begun))
    assert answer.status_code == 200, answer.text
    who = await me(admin, answer)
    assert (who["email"], who["role"], who["org"], who["method"]) == ("ada@example.com", "operator", None, "sso")
    again = await log_in(admin, "ada")
    assert (await me(admin, again))["id"] == who["id"], "the same account the next time"
    shown = await admin.get("/users/ada@example.com")
    assert (shown["sso"], shown["has_password"], shown["name"]) == (True, False, "Ada")
    assert (await me(admin, await log_in(admin, "bob")))["org"] == "acme"
    assert len(admin.audit("user.create")) == 2
    assert [row["diff"]["after"]["method"] for row in admin.audit("auth.login")].count("sso") == 3


async def test_the_role_follows_the_groups(admin: Admin, openid: OpenId) -> None:
    first = await me(admin, await log_in(admin, "ada"))
    openid.people(ada={"email": "ada@example.com", "email_verified": True, "groups": ["acme-admins"]})
    second = await me(admin, await log_in(admin, "ada"))
    assert (second["id"], second["role"], second["org"]) == (first["id"], "admin", "acme")
    (moved,) = admin.audit("user.update")
    assert moved["diff"]["after"]["role"] == "admin"
    openid.people(ada={"email": "ada@example.com", "email_verified": True, "groups": []})
    refused = await log_in(admin, "ada")
    assert (refused.status_code, refused.json()["code"]) == (403, "sso_refused")
    await set_up(admin, openid, default_role="viewer")
    assert (await me(admin, await log_in(admin, "nemo")))["role"] == "viewer"


async def test_nobody_comes_as_an_admin_beyond_the_licences_number(
    admin: Admin, licensed: tuple[Admin, Authority], openid: OpenId
) -> None:
    few = licensed[1].issue(tier="business", features={"max_admins": 1})
    await admin.make("/license/activate", 200, license_key=few)
    await admin.make("/users", email="first@example.com", role="admin")
    refused = await log_in(admin, "bob")
    assert (refused.status_code, refused.json()["code"]) == (402, "too_many_admins")
    assert (await log_in(admin, "ada")).status_code == 200, "an operator is no admin"
    openid.people(ada={"email": "ada@example.com", "email_verified": True, "groups": ["acme-admins"]})
    assert (await log_in(admin, "ada")).status_code == 402
    await admin.call("PATCH", "/users/first@example.com", json={"disabled": True})
    assert (await me(admin, await log_in(admin, "ada")))["role"] == "admin"
    assert (await log_in(admin, "ada")).status_code == 200, "who has the seat keeps it"


async def test_whom_the_provider_does_not_vouch_for_is_refused(admin: Admin) -> None:
    for who, code in (("eve", "sso_refused"), ("nemo", "sso_refused")):
        answer = await log_in(admin, who)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert len(admin.audit("auth.forbid")) == 2
    assert admin.sql("SELECT count(*) AS n FROM users")[0]["n"] == 0


async def test_an_account_without_a_password_is_linked_and_one_with_a_password_is_not_taken_over(admin: Admin) -> None:
    made = await admin.make("/users", email="ADA@example.com", role="viewer")
    who = await me(admin, await log_in(admin, "ada"))
    assert (who["id"], who["role"]) == (made["id"], "viewer"), "an admin's word stands: groups change nothing"
    await admin.call("PATCH", f"/users/{made['id']}", json={"disabled": True})
    assert (await log_in(admin, "ada")).status_code == 403
    await admin.make("/users", email="bob@example.com", role="owner", password="correct horse battery")
    answer = await log_in(admin, "bob")
    assert (answer.status_code, answer.json()["code"]) == (403, "sso_refused")


async def test_state_flow_token_code_and_verifier_must_all_be_right(admin: Admin) -> None:
    begun = await begin(admin)
    brought = await sent_back(begun)
    for change in (
        {"state": "x" * 43},
        {"flow_token": "x" * 43},
        {"code": "x" * 43},
        {"code": None, "error": "access_denied"},
        {"iss": "http://127.0.0.1:1"},
        {"iss": None},
    ):
        begun = await begin(admin)
        refused = await end(admin, begun, {**await sent_back(begun), "state": begun["state"]} | change, **{
            name: value for name, value in change.items() if name == "flow_token"
        })  # fmt: skip
        assert (refused.status_code, refused.json()["code"]) == (401, "sso_failed"), change
    begun = await begin(admin)
    other = await begin(admin)
    swapped = await sent_back(other, "bob")
    refused = await end(admin, begun, swapped)
    assert refused.status_code == 401, "a link from another's login does not log anybody in"
    mixed = await end(admin, begun, {**swapped, "state": begun["state"]})
    assert mixed.status_code == 401, "a code from another login: the verifier and the nonce do not fit"
    begun = await begin(admin)
    brought = await sent_back(begun)
    both = await asyncio.gather(end(admin, begun, brought), end(admin, begun, brought))
    assert sorted(answer.status_code for answer in both) == [200, 401], "a state works once"
    late = await begin(admin)
    brought = await sent_back(late)
    admin.sql("UPDATE sso_flows SET expires_at = now()")
    assert (await end(admin, late, brought)).status_code == 401
    assert admin.audit("auth.refuse")


async def test_only_known_addresses_are_sent_back_to(admin: Admin) -> None:
    for address in ("http://127.0.0.1:5173/callback/", "https://evil.example/", CALLBACK + "?x=1", ""):
        answer = await admin.http.post(f"{API}/auth/sso/start", json={"redirect_uri": address})
        assert answer.status_code in {400, 422}, address


async def test_keys_are_exchanged_while_people_log_in(admin: Admin, openid: OpenId, monkeypatch) -> None:
    monkeypatch.setattr("scutum_server.access.sso.issuer._AGAIN_S", 0.0)
    assert (await log_in(admin, "ada")).status_code == 200
    await asyncio.to_thread(openid.rotate, signing_key("second"))
    assert (await log_in(admin, "ada")).status_code == 200


async def device(admin: Admin) -> dict:
    answer = await admin.http.post(f"{API}/auth/sso/device")
    assert answer.status_code == 201, answer.text
    return answer.json()


async def poll(admin: Admin, begun: dict) -> httpx.Response:
    return await admin.http.post(f"{API}/auth/sso/device/token", json={"flow_token": begun["flow_token"]})


async def test_a_device_logs_in_once_somebody_agrees_elsewhere(admin: Admin) -> None:
    begun = await device(admin)
    early = await poll(admin, begun)
    assert (early.status_code, early.json()["code"]) == (409, "authorization_pending")
    assert int(early.headers["retry-after"]) == begun["interval"]
    page = await asyncio.to_thread(Browser("ada").agree, begun["verification_uri_complete"])
    assert "Sign-in Success" in page
    admin.sql("UPDATE sso_flows SET due_at = now()")
    answer = await poll(admin, begun)
    assert answer.status_code == 200, answer.text
    assert (await me(admin, answer))["email"] == "ada@example.com"
    assert (await poll(admin, begun)).status_code == 401, "it works once"
    for wrong in ("x" * 43, ""):
        assert (await poll(admin, {"flow_token": wrong})).status_code in {401, 422}


async def test_a_device_that_asks_too_often_does_not_reach_the_provider(admin: Admin) -> None:
    begun = await device(admin)
    assert [(await poll(admin, begun)).status_code for _ in range(5)] == [409] * 5
    assert admin.sql("SELECT count(*) AS n FROM sso_flows")[0]["n"] == 1


async def test_a_public_client_needs_no_secret(admin: Admin, openid: OpenId) -> None:
    shown = (await set_up(admin, openid, client_id="public", client_secret=None)).json()
    assert shown["has_client_secret"] is False, "another client does not inherit the secret"
    assert (await log_in(admin, "ada")).status_code == 200


async def test_the_settings_never_show_the_secret_and_keep_it(admin: Admin, openid: OpenId) -> None:
    shown = await set_up(admin, openid, client_secret=None)
    assert shown.json()["has_client_secret"] is True
    assert (await log_in(admin, "ada")).status_code == 200
    everything = " ".join(admin.answers) + str(admin.sql("SELECT * FROM audit_logs")) + str(admin.sql("SELECT * FROM sso"))
    assert SECRET not in everything
    viewer = await admin.session("operator")
    await admin.fails("GET", "/sso", 403, "forbidden", headers=viewer)
    for field, value, code in (
        ("issuer", "http://id.example", "invalid_field"),
        ("issuer", "ftp://127.0.0.1", "invalid_field"),
        ("issuer", openid.issuer + "/", "sso_provider_unavailable"),
        ("issuer", "http://127.0.0.1:1", "sso_provider_unavailable"),
        ("redirect_uris", ["http://evil.example"], "invalid_field"),
        ("rules", [{"group": "x", "role": "viewer", "org": "nowhere"}], "org_not_found"),
    ):
        body = {"issuer": openid.issuer, "client_id": "scutum", field: value}
        answer = await admin.call("PUT", "/sso", json=body)
        assert answer.json()["code"] == code, answer.text
    assert (await admin.get("/sso"))["issuer"] == openid.issuer, "what was refused changed nothing"
    await admin.call("DELETE", "/sso")
    await admin.fails("GET", "/sso", 404, "sso_not_set")
    assert (await admin.http.post(f"{API}/auth/sso/device")).status_code == 404


async def test_without_a_licence_for_it_there_is_an_upgrade_prompt(
    licensed: tuple[Admin, Authority], openid: OpenId
) -> None:
    admin, authority = licensed
    body = {"issuer": openid.issuer, "client_id": "scutum"}
    for tier in (None, "team"):
        if tier:
            await admin.make("/license/activate", 200, license_key=authority.issue(tier=tier))
        answer = await admin.call("PUT", "/sso", json=body)
        assert answer.status_code in {402, 403} and "Business" in answer.json()["detail"], answer.text
        assert (await admin.http.post(f"{API}/auth/sso/device")).status_code == answer.status_code
    await admin.make("/license/activate", 200, license_key=authority.issue(tier="enterprise"))
    await set_up(admin, openid, rules=[])


async def forged(openid: OpenId) -> AsyncIterator[tuple[str, str, str | None]]:
    key = json.loads((openid.directory / "jwks.json").read_text())["keys"][0]
    private, now = jwt.PyJWK.from_dict(key).key, int(time.time())
    good = {"iss": openid.issuer, "sub": "ada", "aud": "scutum", "iat": now, "exp": now + 300, "nonce": "n" * 43}

    def sign(claims: dict, algorithm: str = "RS256", secret=private, kid: str | None = key["kid"]) -> str:
        return jwt.encode(
            {name: value for name, value in claims.items() if value is not None}, secret, algorithm, {"kid": kid}
        )

    public = base64.urlsafe_b64decode(key["n"] + "==")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": key["kid"]}).encode()).decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps(good).encode()).decode().rstrip("=")
    yield "good", sign(good), "n" * 43
    yield "good for a device", sign(good | {"nonce": None}), None
    yield "alg none", f"{head}.{body}.", "n" * 43
    yield "HS256 with the public key", sign(good, "HS256", public), "n" * 43
    yield "another key of the same name", sign(good, "ES256", ec.generate_private_key(ec.SECP256R1())), "n" * 43
    yield "a key nobody publishes", sign(good, kid="unknown"), "n" * 43
    yield "another issuer", sign(good | {"iss": openid.issuer + "/"}), "n" * 43
    yield "another audience", sign(good | {"aud": "other"}), "n" * 43
    yield "several audiences, not made out to us", sign(good | {"aud": ["scutum", "other"]}), "n" * 43
    yield "made out to another", sign(good | {"azp": "other"}), "n" * 43
    yield "expired", sign(good | {"exp": now - 120}), "n" * 43
    yield "from the future", sign(good | {"iat": now + 600, "nbf": now + 600}), "n" * 43
    yield "no expiry", sign(good | {"exp": None}), "n" * 43
    yield "no subject", sign(good | {"sub": None}), "n" * 43
    yield "an empty subject", sign(good | {"sub": ""}), "n" * 43
    yield "another nonce", sign(good | {"nonce": "x" * 43}), "n" * 43
    yield "no nonce", sign(good | {"nonce": None}), "n" * 43
    yield "a nonce that is a list", sign(good | {"nonce": ["n"]}), "n" * 43
    yield "huge", "e" * 100_000, "n" * 43
    yield "nonsense", "a.b.c", "n" * 43


async def test_an_id_token_is_read_strictly(openid: OpenId) -> None:
    await asyncio.to_thread(openid.rotate, signing_key("strict"))
    issuer = Issuer(openid.issuer, None)
    async for what, token, nonce in forged(openid):
        if what.startswith("good"):
            assert (await issuer.verify("scutum", token, nonce))["sub"] == "ada"
        else:
            with pytest.raises(SsoFailed):
                await issuer.verify("scutum", token, nonce)
                pytest.fail(what)


async def test_a_document_of_another_issuer_is_not_believed(openid: OpenId) -> None:
    with pytest.raises(ProviderDown):
        await Issuer(openid.issuer.replace("127.0.0.1", "localhost"), None).metadata()
