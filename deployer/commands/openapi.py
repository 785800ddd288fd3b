"""`openapi`: describe the API in OpenAPI 3.1."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from deployer.commands.options import Options, common, is_address
from deployer.commands.session import settings_of, started

FORMATS = ("json", "yaml")
SUFFIXES = {".yaml": "yaml", ".yml": "yaml"}


@click.command("openapi")
@common
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Format of the document; by default that of --output's suffix, or JSON.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the document to this file.",
)
@click.option("--url", help="URL of the deployed API, to be named as the server.")
def command(options: Options, form: str | None, output: Path | None, url: str | None) -> None:
    """Describe the API in OpenAPI 3.1: requests, responses, errors, and who may call.

    The document is made from the project's folder alone, without an account or a server.

    \b
    Example:
        python -m deployer openapi --output openapi.yaml
    """
    from deployer.report.console import print_json, stderr_console
    from deployer.service.interface import files
    from deployer.service.interface.openapi import document
    from deployer.service.interface.reading import read_interface

    started()
    if url is not None and not is_address(url):
        raise click.UsageError(f"--url: {url!r} must be an address such as https://example.com/")
    form = form or SUFFIXES.get(output.suffix.lower() if output else "", FORMATS[0])
    content = document(read_interface(settings_of(options)), url)
    text = files.document_text({**content, "x-generator": files.mark("openapi")}, form)
    if output is not None:
        files.write(output, text, "openapi", "a description of an API")
    if options.as_json:
        written = None if output is None else str(output)
        print_json(sys.stdout, {"format": form, "output": written, "document": content})
    elif output is not None:
        stderr_console(color=options.color).print(
            f"{output} is written", soft_wrap=True, markup=False
        )
    else:
        click.echo(files.signed(text, "openapi"), nl=False)
