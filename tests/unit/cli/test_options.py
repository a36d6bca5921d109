"""Values on the command line."""

from __future__ import annotations

import pytest

from scutum_cli import options
from scutum_cli.errors import CliError


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("15m", 900), ("24h", 86_400), ("30d", 2_592_000), ("2w", 1_209_600)])
def test_durations(text: str, value: int) -> None:
    assert options.seconds(text, "--since") == value


@pytest.mark.parametrize(("text", "value"), [("200ms", 200), ("1.5s", 1500), ("2m", 120_000), ("70", 70), ("0", 0)])
def test_short_durations(text: str, value: int) -> None:
    assert options.milliseconds(text, "--latency") == value


@pytest.mark.parametrize(("text", "value"), [("0.3", 0.3), ("30%", 0.3), ("0", 0), ("1", 1), (".5", 0.5)])
def test_fractions(text: str, value: float) -> None:
    assert options.fraction(text, "--error-rate") == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (options.seconds, "0h"), (options.seconds, "h"), (options.seconds, "-1h"), (options.seconds, "1y"), (options.seconds, ""),
        (options.milliseconds, "-5"), (options.milliseconds, "fast"), (options.milliseconds, "1e3"),
        (options.fraction, "1.1"), (options.fraction, "nan"), (options.fraction, "-0.1"), (options.fraction, "130%"),
        (options.whole, "1.5"), (options.whole, "-1"), (options.whole, "9" * 30), (options.whole, "٣x"),
        (options.names, "a,,b"), (options.names, ""),
    ],
)  # fmt: skip
def test_a_bad_value_is_one_sentence_that_names_the_flag(read, text: str) -> None:
    with pytest.raises(CliError) as caught:
        read(text, "--flag")
    assert caught.value.exit_code == 2
    assert caught.value.message.startswith("--flag takes ")
    assert repr(text) in caught.value.message
