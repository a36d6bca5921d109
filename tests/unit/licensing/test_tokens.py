"""Every way in which a licence may be wrong is refused, and says which."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from scutum_server.licensing import tokens
from scutum_server.licensing.models import SEVEN_YEARS, LicenceRefused
from scutum_server.licensing.trust import Trust, TrustedKey
from tests.fixtures.licences import Authority, part

US = Authority()
TRUSTED = [TrustedKey(US.kid, US.private.public_key())]


def refused(token: str) -> LicenceRefused:
    with pytest.raises(LicenceRefused) as caught:
        tokens.read(token, TRUSTED)
    error = caught.value
    assert error.detail.endswith(".") and error.hint
    assert len(error.detail) < 400, "a sentence, not the token"
    return error


def test_a_genuine_licence_is_read_also_with_line_ends_in_it() -> None:
    token = US.issue(tier="team", features={"max_admins": 12, "sso": True})
    claims = tokens.read(token, TRUSTED)
    assert (claims.tier, claims.company, claims.email) == ("team", "Acme", "ops@acme.example")
    wrapped = "\r\n  ".join(token[at : at + 60] for at in range(0, len(token), 60)) + "\n"
    assert tokens.read(wrapped, TRUSTED) == claims
    found = claims.all_features()
    assert (found["max_admins"], found["sso"], found["audit_retention_days"]) == (12, True, 90)


def test_some_features_belong_to_tiers_whatever_the_licence_says() -> None:
    team = tokens.read(US.issue(tier="team", features={"sre_agent": True}), TRUSTED)
    assert team.all_features()["sre_agent"] is False
    enterprise = tokens.read(US.issue(tier="enterprise", features={"audit_retention_days": 1}), TRUSTED)
    assert enterprise.all_features()["audit_retention_days"] == SEVEN_YEARS


def test_alg_none_is_refused() -> None:
    for name in ("none", "None", "NONE", ""):
        bare = f"{part({'alg': name, 'typ': 'JWT'})}.{part(US.claims())}"
        assert refused(f"{bare}.{part(b'x' * 64)}").code == "license_algorithm"
        assert refused(f"{bare}.").code == "license_truncated"


def test_hs256_with_the_public_key_is_refused() -> None:
    raw = US.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    for secret in (raw, US.pem, US.pem.strip()):
        message = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': US.kid})}.{part(US.claims())}"
        digest = hmac.new(secret, message.encode(), hashlib.sha256).digest()
        assert refused(f"{message}.{part(digest)}").code == "license_algorithm"
        # And the algorithm's name alone, with a MAC in the signature's place.
        message = f"{part({'alg': 'EdDSA', 'kid': US.kid})}.{part(US.claims())}"
        digest = hmac.new(secret, message.encode(), hashlib.sha512).digest()
        assert refused(f"{message}.{part(digest)}").code == "license_tampered"


def test_another_issuers_licence_is_refused_also_under_our_key_id() -> None:
    other = Authority()
    assert refused(other.issue()).code == "license_untrusted"
    assert refused(other.sign({"alg": "EdDSA"}, other.claims())).code == "license_untrusted"
    forged = other.sign({"alg": "EdDSA", "kid": US.kid}, other.claims())
    assert refused(forged).code == "license_tampered"


def test_a_key_in_the_head_is_not_believed() -> None:
    other = Authority()
    raw = other.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    for extra in ({"jwk": {"kty": "OKP", "crv": "Ed25519", "x": part(raw)}}, {"jku": "https://evil.example"},
                  {"x5u": "https://evil.example"}, {"crit": ["exp"]}, {"b64": False}):  # fmt: skip
        assert refused(other.sign({"alg": "EdDSA", **extra}, other.claims())).code == "license_malformed"


def test_a_swapped_tier_is_refused() -> None:
    head, payload, signature = US.issue(tier="trial").split(".")
    del payload
    assert refused(f"{head}.{part(US.claims(tier='enterprise'))}.{signature}").code == "license_tampered"


def test_a_truncated_paste_is_said_to_be_one_wherever_it_was_cut() -> None:
    token = US.issue()
    head = token.index(".")
    for at in range(head, len(token)):
        error = refused(token[:at])
        assert error.code == "license_truncated", (at, error.detail)
        assert "cut short" in error.detail
    assert refused(token[:10]).code == "license_truncated"


def test_a_paste_without_its_beginning_or_twice_is_refused() -> None:
    token = US.issue()
    for text in (token[5:], token + token, "", "  \n", "hello", "..", US.pem.decode(), f'"{token}"', "é" * 40):
        assert refused(text).code in {"license_malformed", "license_truncated", "license_algorithm"}, text[:30]


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": "2030-01-01"}, {"exp": True}, {"exp": None}, {"exp": ...}, {"exp": 10**18}, {"iat": -1}, {"iat": ...},
        {"exp": 1, "iat": 2}, {"tier": "platinum"}, {"tier": None}, {"tier": ["enterprise"]}, {"email": 7},
        {"company": ""}, {"company": "x" * 201}, {"company": "a\x1b[31m"}, {"jti": ...}, {"nbf": "soon"},
        {"features": []}, {"features": {"max_admins": "5"}}, {"features": {"max_admins": -1}},
        {"features": {"max_admins": 10**12}}, {"features": {"audit_retention_days": None}},
        {"features": {"audit_retention_days": False}}, {"features": {"audit_retention_days": 0}},
        {"features": {"": 1}}, {"features": {"sso": {"deep": 1}}},
    ],
)  # fmt: skip
def test_wrong_types_and_values_are_refused_though_they_are_signed(changed: dict[str, object]) -> None:
    assert refused(US.issue(**changed)).code == "license_malformed"


def test_duplicate_fields_are_refused_though_they_are_signed() -> None:
    text = json.dumps(US.claims(tier="trial"))
    twice = text[:-1] + ', "tier": "enterprise"}'
    assert refused(US.sign({"alg": "EdDSA"}, twice)).code == "license_malformed"
    assert refused(US.sign('{"alg": "none", "alg": "EdDSA"}', US.claims())).code == "license_malformed"


def test_broken_json_is_refused() -> None:
    deep = "[" * 4000 + "]" * 4000
    for payload in ("", "null", "[]", '"x"', "{", '{"exp": NaN}', '{"exp": Infinity}', deep, "9" * 5000, b"\xff\xfe"):
        assert refused(US.sign({"alg": "EdDSA"}, payload)).code in {"license_malformed", "license_truncated"}


def test_what_is_huge_is_refused_before_it_is_looked_at() -> None:
    assert refused(US.issue() + "A" * 20_000).code == "license_too_large"
    assert refused(" " * 1_000_000).code == "license_too_large"
    assert refused(US.issue(company="x" * 16_000)).code == "license_too_large"


def test_one_licence_has_one_spelling() -> None:
    token = US.issue()
    assert refused(token + "=").code == "license_malformed"
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spellings = [token[:-1] + letter for letter in last if letter != token[-1]]
    assert {refused(each).code for each in spellings} <= {"license_truncated", "license_tampered"}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_single_change_is_let_through(data: st.DataObject) -> None:
    token = US.issue()
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda one: one != token[at] and not one.isspace()))
    refused(token[:at] + letter + token[at + 1 :])


def keys_of(content: bytes, tmp_path: Path) -> tuple[TrustedKey, ...]:
    file = tmp_path / "trusted.pem"
    file.write_bytes(content)
    return Trust(file).keys()


def test_the_file_of_authorities_takes_ed25519_public_keys_only(tmp_path: Path) -> None:
    other = Authority()
    both = keys_of(b"# ours\n" + US.pem + b"\n# theirs\n" + other.pem, tmp_path)
    assert [key.kid for key in both] == [US.kid, other.kid]
    assert tokens.read(other.issue(), both).tier == "business"
    private = US.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    bigger = ed448.Ed448PrivateKey.generate().public_key()
    wrong = [curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
             bigger.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)]  # fmt: skip
    for content in (b"", b"rubbish", US.pem[:60], US.pem + private, *wrong, b"-----BEGIN PUBLIC KEY-----\nxx\n-----END PUBLIC KEY-----"):  # fmt: skip
        with pytest.raises(LicenceRefused) as caught:
            keys_of(content, tmp_path)
        assert caught.value.code == "license_no_authority"


def test_a_new_file_of_authorities_counts_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "trusted.pem"
    trust = Trust(file)
    with pytest.raises(LicenceRefused, match="no file of trusted authorities"):
        trust.keys()
    file.write_bytes(US.pem)
    assert [key.kid for key in trust.keys()] == [US.kid]
    other = Authority()
    file.unlink()
    file.write_bytes(other.pem + US.pem)
    assert [key.kid for key in trust.keys()] == [other.kid, US.kid]
