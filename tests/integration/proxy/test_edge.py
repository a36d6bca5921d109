"""The proxy at a network's edge: its own TLS, the client's address behind other proxies, floods of invalid keys."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from tests.fixtures.gateway import proxy_environment, running_proxy
from tests.fixtures.servers import free_port, wait_until

from scutum_cli.host import health
from scutum_cli.host.config import HostConfig
from scutum_server.settings import DatabaseSettings, RedisSettings


def write_pair(authority: trustme.CA, directory: Path, name: str = "localhost") -> tuple[Path, Path]:
    pair = authority.issue_cert(name)
    certificate, key = directory / "chain.pem", directory / "key.pem"
    key.write_bytes(pair.private_key_pem.bytes())
    certificate.write_bytes(b"".join(blob.bytes() for blob in pair.cert_chain_pems))
    return certificate, key


def ask_tls(port: int, context: ssl.SSLContext, name: str = "localhost") -> tuple[bytes, str]:
    """The status line of /health/live and the name in the certificate."""
    with (
        socket.create_connection(("127.0.0.1", port), 5) as raw,
        context.wrap_socket(raw, server_hostname=name) as tls,
    ):
        tls.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return tls.recv(65536).partition(b"\r\n")[0], dict(tls.getpeercert()["subjectAltName"])["DNS"]


def test_a_new_certificate_is_taken_while_it_runs_and_a_wrong_one_is_not(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    authority = trustme.CA()
    certificate, key = write_pair(authority, tmp_path)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    env = {"SCUTUM_TLS_CERTIFICATE": str(certificate), "SCUTUM_TLS_KEY": str(key)}
    with running_proxy(database, redis_settings, tmp_path, environment=env, wait=False) as proxy:
        host = HostConfig(proxy_port=proxy.port, proxy_tls=True)
        wait_until(lambda: health.proxy(host).ok, what="the proxy to be ready")
        assert ask_tls(proxy.port, context) == (b"HTTP/1.1 200 OK", "localhost")
        key.write_text("no key")
        wait_until(lambda: "is not used" in proxy.log.read_text(), what="the proxy to refuse the pair")
        assert ask_tls(proxy.port, context) == (b"HTTP/1.1 200 OK", "localhost")
        write_pair(authority, tmp_path, "gateway.example.com")
        wait_until(lambda: "read anew" in proxy.log.read_text(), what="the proxy to take the pair")
        assert ask_tls(proxy.port, context, "gateway.example.com") == (b"HTTP/1.1 200 OK", "gateway.example.com")
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as plain:
            plain.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert not plain.recv(65536).startswith(b"HTTP/1.1 200")
        assert proxy.stop() == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SCUTUM_TLS_CERTIFICATE": "/nowhere.pem"}, "together"),
        ({"SCUTUM_TLS_CERTIFICATE": "/nowhere.pem", "SCUTUM_TLS_KEY": "/nowhere.key"}, "no such file"),
        ({"SCUTUM_TRUSTED_PROXIES": "10.0.0.0/8, load-balancer"}, "load-balancer"),
    ],
)
def test_wrong_settings_are_said_in_a_sentence(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    env = proxy_environment(database, redis_settings, os.urandom(32), tmp_path, free_port()) | change
    done = subprocess.run([sys.executable, "-m", "scutum_server", "proxy"], env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr


def test_allow_lists_and_throttling_see_the_client_behind_trusted_proxies(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    env = {"SCUTUM_TRUSTED_PROXIES": "127.0.0.1", "SCUTUM_FAILED_KEYS_PER_MINUTE": "3"}
    with running_proxy(database, redis_settings, tmp_path, environment=env) as proxy:
        proxy.rows.deployment("sim", proxy.rows.provider("sim", "sim"))
        proxy.wait_for("sim")
        office = proxy.rows.key(allowed_ips=["203.0.113.0/24"])

        def models(key: str, *via: str) -> tuple[int, dict[str, str], bytes]:
            return proxy.request("GET", "/v1/models", key=key, headers={"X-Forwarded-For": ", ".join(via)})

        wait_until(lambda: models(office, "203.0.113.5")[0] == 200, what="the key to be known")
        assert models(office, "198.51.100.1")[0] == 403
        assert models(office, "203.0.113.5", "198.51.100.1")[0] == 403
        answers = [models("sk-wrong", "198.51.100.7")[0] for _ in range(5)]
        assert answers == [401, 401, 401, 429, 429]
        status, headers, body = models("sk-wrong", "198.51.100.7")
        assert (status, json.loads(body)["error"]["code"]) == (429, "too_many_failed_attempts")
        assert 1 <= int(headers["retry-after"]) <= 60
        assert models(proxy.master_key, "198.51.100.7")[0] == 200, "good keys behind that address work on"
        assert models("sk-wrong", "198.51.100.8")[0] == 401
