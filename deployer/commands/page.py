"""`page`: write a page to try the service."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from deployer.commands.options import Options, common, is_address
from deployer.commands.session import settings_of, started


@click.command("page")
@common
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Write the page to this file.",
)
@click.option("--url", help="URL of the deployed API; without it, the page asks for the URL.")
def command(options: Options, output: Path, url: str | None) -> None:
    """Write a web page to try the service: one HTML file that loads nothing from elsewhere.

    The page is made from the project's folder alone, without an account or a server.

    \b
    Example:
        python -m deployer page --output try.html --url https://example.com/
    """
    from deployer.report.console import print_json, stderr_console
    from deployer.service.interface import files
    from deployer.service.interface.page import obstacle, page
    from deployer.service.interface.reading import read_interface

    started()
    if url is not None and not is_address(url):
        raise click.UsageError(f"--url: {url!r} must be an address such as https://example.com/")
    interface = read_interface(settings_of(options))
    files.write(output, page(interface, url), "page", "a page to try a service")
    console = stderr_console(color=options.color)
    reason = obstacle(interface.settings)
    if reason is not None:
        console.print(f"warning: {reason}", soft_wrap=True, markup=False)
    if options.as_json:
        print_json(sys.stdout, {"output": str(output), "url": url})
    else:
        console.print(f"{output} is written", soft_wrap=True, markup=False)
