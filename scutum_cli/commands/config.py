"""scutum config path and show."""

from __future__ import annotations

import typer

from scutum_cli import options, output

app = typer.Typer(help="Where the configuration lies and what it says.")
_SECRET_WORDS = ("KEY", "PASSWORD", "SECRET", "TOKEN")


@app.command("path", epilog=options.examples("scutum config path", "cd $(scutum config path)"))
def path(home: options.Home = None) -> None:
    """Print the directory of the configuration."""
    from scutum_cli.host.layout import installed

    layout = installed(home)
    if output.style.format == "table":
        output.emit_text(str(layout.config))
    else:
        output.emit_object(
            {
                "home": str(layout.home),
                "config": str(layout.config),
                "env": str(layout.env_file),
                "yaml": str(layout.yaml_file),
            }
        )


@app.command("show", epilog=options.examples("scutum config show", "scutum config show -o yaml"))
def show(home: options.Home = None) -> None:
    """Print the settings of this host; of secrets only whether they are set."""
    from dataclasses import asdict

    from scutum_cli.host import config, files
    from scutum_cli.host.layout import installed

    layout = installed(home)
    shown = {name.replace("_", ".", 1): value for name, value in asdict(config.load(layout.yaml_file)).items()}
    for name, value in files.read_env(layout.env_file).items():
        secret = name in files.GENERATED or any(word in name for word in (*_SECRET_WORDS, "_URL"))
        shown[name] = ("set" if value else "missing") if secret else value
    output.emit_object(dict(sorted(shown.items())))
