"""Completion scripts for bash, zsh and fish: the command's grammar as text. Pure.

A *source* says what completes a word: words with spaces between them, `@teams` for names that the server knows (asked
by `scutum completions --live teams`), `@files` for paths, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from shlex import quote

HEADER = "# Completion of scutum's commands. Generated: scutum completions {name} prints it."


@dataclass(frozen=True, slots=True)
class Flag:
    """An option in all its spellings; `source` None when it takes no value."""

    names: tuple[str, ...]
    help: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A command at `path` (`keys show`; the root is empty): its verbs with their help, options and arguments."""

    path: str
    verbs: tuple[tuple[str, str], ...] = ()
    flags: tuple[Flag, ...] = ()
    arguments: tuple[str, ...] = field(default=())


def script(shell: str, nodes: Sequence[Node]) -> str:
    """The script for `shell`: bash, zsh or fish."""
    return {"bash": bash, "zsh": zsh, "fish": fish}[shell](nodes)


def bash(nodes: Sequence[Node]) -> str:
    verbs = _cases((node.path, " ".join(name for name, _ in node.verbs)) for node in nodes if node.verbs)
    flags = _cases((node.path, " ".join(_spellings(node))) for node in nodes)
    return f"""{HEADER.format(name="bash")}
_scutum_verbs() {{
{verbs}
}}
_scutum_flags() {{
{flags}
}}
{_tables(nodes)}
_scutum() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" path="" expect="" source words word at=1 position=0
  while [ "$at" -lt "$COMP_CWORD" ]; do
    word="${{COMP_WORDS[$at]}}"
    at=$((at + 1))
    if [ "$word" = "=" ]; then
      continue
    elif [ -n "$expect" ]; then
      expect=""
    elif [ "${{word#-}}" != "$word" ]; then
      [ -z "$(_scutum_value "$path" "$word")" ] || expect="$word"
    else
      case " $(_scutum_verbs "$path") " in
        *" $word "*) path="${{path:+$path }}$word" ;;
        *) position=$((position + 1)) ;;
      esac
    fi
  done
  [ "$cur" != "=" ] || cur=""
  if [ -n "$expect" ]; then
    source="$(_scutum_value "$path" "$expect")"
  elif [ "${{cur#-}}" != "$cur" ]; then
    source="$(_scutum_flags "$path")"
  else
    source="$(_scutum_verbs "$path") $(_scutum_argument "$path" "$position")"
  fi
  words=""
  COMPREPLY=()
  for word in $source; do
    case "$word" in
      @none) ;;
      @files) COMPREPLY=($(compgen -f -- "$cur")) ;;
      @*) words="$words $("${{COMP_WORDS[0]}}" completions --live "${{word#@}}" 2>/dev/null)" ;;
      *) words="$words $word" ;;
    esac
  done
  COMPREPLY+=($(compgen -W "$words" -- "$cur"))
}}
complete -F _scutum scutum
"""


def zsh(nodes: Sequence[Node]) -> str:
    verbs = _cases(
        (node.path, "\\n".join(f"{name}:{_plain(text)}" for name, text in node.verbs)) for node in nodes if node.verbs
    )
    flags = _cases(
        (node.path, "\\n".join(f"{name}:{_plain(flag.help)}" for flag in node.flags for name in flag.names))
        for node in nodes
    )
    return f"""#compdef scutum
{HEADER.format(name="zsh")}
_scutum_verbs() {{
{verbs}
}}
_scutum_flags() {{
{flags}
}}
{_tables(nodes)}
_scutum() {{
  local cur="${{words[CURRENT]}}" at_path="" expect="" source word at=2 position=0
  local -a known shown
  while (( at < CURRENT )); do
    word="${{words[at]}}"
    (( at++ ))
    known=(${{(f)"$(_scutum_verbs "$at_path")"}})
    if [[ -n "$expect" ]]; then
      expect=""
    elif [[ "$word" == -* ]]; then
      [[ "$word" == *=* || -z "$(_scutum_value "$at_path" "$word")" ]] || expect="$word"
    elif [[ -n "${{known[(r)$word:*]}}" ]]; then
      at_path="${{at_path:+$at_path }}$word"
    else
      (( position++ ))
    fi
  done
  if [[ -n "$expect" ]]; then
    source="$(_scutum_value "$at_path" "$expect")"
  elif [[ "$cur" == -* ]]; then
    shown=(${{(f)"$(_scutum_flags "$at_path")"}})
    _describe -o option shown
    return
  else
    shown=(${{(f)"$(_scutum_verbs "$at_path")"}})
    (( ${{#shown}} )) && _describe command shown
    source="$(_scutum_argument "$at_path" "$position")"
  fi
  for word in ${{=source}}; do
    case "$word" in
      @none) ;;
      @files) _files ;;
      @*) compadd -- ${{(f)"$("${{words[1]}}" completions --live "${{word#@}}" 2>/dev/null)"}} ;;
      *) compadd -- "$word" ;;
    esac
  done
}}
if [[ "${{funcstack[1]}}" == "_scutum" ]]; then
  _scutum "$@"
else
  compdef _scutum scutum
fi
"""


def fish(nodes: Sequence[Node]) -> str:
    paths = " ".join(quote(node.path) for node in nodes if node.path)
    common = [flag for flag in nodes[0].flags if all(flag in node.flags for node in nodes)]
    rules = [f"complete -c scutum{_fish_flag(flag)}" for flag in common]
    for node in nodes:
        condition = quote(f'__scutum_at "{node.path}"')
        at = f"complete -c scutum -n {condition}"
        rules += [f"{at} -a {name} -d {quote(_plain(text))}" for name, text in node.verbs]
        rules += [f"{at} -a {_fish_words(source)}" for source in dict.fromkeys(node.arguments) if _fish_words(source)]
        rules += [f"{at}{_fish_flag(flag)}" for flag in node.flags if flag not in common]
    body = "\n".join(rules)
    return f"""{HEADER.format(name="fish")}
function __scutum_at
    set -l known {paths}
    set -l path ""
    for word in (commandline -opc)[2..-1]
        set -l longer (string trim -- "$path $word")
        contains -- $longer $known; and set path $longer
    end
    test "$path" = "$argv[1]"
end
complete -c scutum -f
{body}
"""


def _tables(nodes: Sequence[Node]) -> str:
    """The functions that bash and zsh share: the source of an option's value and of an argument."""
    values = []
    arguments = []
    for node in nodes:
        for flag in node.flags:
            if flag.source is not None:
                keys = "|".join(quote(f"{node.path} {name}".strip()) for name in flag.names)
                values.append(f"    {keys}) echo {quote(flag.source or '@none')} ;;")
        for position, source in enumerate(node.arguments):
            last = "*" if position == len(node.arguments) - 1 else str(position)
            if source:
                arguments.append(f"    {quote(node.path)}' '{last}) echo {quote(source)} ;;")
    return f"""_scutum_value() {{
  case "${{1:+$1 }}$2" in
{chr(10).join(values)}
  esac
}}
_scutum_argument() {{
  case "$1 $2" in
{chr(10).join(arguments)}
  esac
}}"""


def _cases(rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"    {quote(path)}) printf '%b\\n' {quote(text)} ;;" for path, text in rows]
    return "\n".join(['  case "$1" in', *lines, "  esac"])


def _spellings(node: Node) -> list[str]:
    return [name for flag in node.flags for name in flag.names]


def _fish_words(source: str) -> str:
    if source == "@files":
        return "'(__fish_complete_path)'"
    if source.startswith("@"):
        return "" if source == "@none" else f"'(scutum completions --live {source[1:]} 2>/dev/null)'"
    return quote(source) if source else ""


def _fish_flag(flag: Flag) -> str:
    text = "".join(f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in flag.names)
    if flag.source is not None:
        words = _fish_words(flag.source)
        text += " -x" + (f" -a {words}" if words else "")
    return f"{text} -d {quote(_plain(flag.help))}"


def _plain(text: str) -> str:
    """A help text as a shell may show it: one line, no colon that zsh would cut at, no backslash."""
    return " ".join(text.replace(":", ",").replace("\\", "").replace("%", " percent").split())
