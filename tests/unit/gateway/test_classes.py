"""Which models the aliases of a new install lead to."""

from __future__ import annotations

from scutum_server.gateway.classes import ALIASES, Candidate, targets

SIM = Candidate("sim", 0, simulated=True)
TOOLS, ALL = frozenset({"tools"}), frozenset({"tools", "reasoning"})
NANO, MINI, BIG, HUGE = (
    Candidate("nano", 1, TOOLS), Candidate("mini", 5, TOOLS), Candidate("big", 50, ALL), Candidate("huge", 500),
)  # fmt: skip
OWN = Candidate("own", None)


def chosen(*candidates: Candidate) -> dict[str, list[str]]:
    return {alias: targets(alias, candidates) for alias in ALIASES}


def test_the_simulator_only_where_there_is_nothing_else() -> None:
    assert set(map(tuple, chosen(SIM).values())) == {("sim",)}
    assert all("sim" not in names for names in chosen(SIM, MINI).values())
    assert set(map(tuple, chosen(SIM, OWN).values())) == {("own",)}
    assert targets("fast", []) == []


def test_each_alias_by_price_and_ability() -> None:
    assert chosen(BIG, SIM, NANO, HUGE, MINI) == {
        "fast": ["nano", "mini", "big"],
        "cost-effective": ["nano", "mini", "big"],
        "smart": ["big", "huge", "mini"],
        "powerful": ["huge", "big", "mini"],
        "reasoning": ["big", "huge", "mini"],
        "coding": ["big", "mini", "nano"],
    }


def test_two_models_and_one_of_unknown_price() -> None:
    assert chosen(MINI, BIG)["smart"] == ["big", "mini"]
    assert all(names[-1] == "own" for names in chosen(OWN, MINI, BIG).values())


def test_a_group_is_one_target() -> None:
    assert targets("fast", [MINI, Candidate("mini", 6), BIG]) == ["mini", "big"]
