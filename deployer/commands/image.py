"""`image`: build the function image into a file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click

from deployer.commands.options import Options, common, with_builder
from deployer.commands.session import settings_of, started
from deployer.project.folder import refuse_incomplete


@click.command("image")
@common
@with_builder
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Write the image to this file, for docker load.",
)
@click.option(
    "--function", help="Build the image of this function, if functions have their own images."
)
def command(options: Options, output: Path, function: str | None) -> None:
    """Build the function image into a file, without calling AWS.

    \b
    Example:
        python -m deployer image --output image.tar && docker load --input image.tar
    """
    from deployer.commands.interrupts import Interrupts
    from deployer.engine.events import StepFinished, StepProgress, StepStarted
    from deployer.images.build import build_and_save
    from deployer.project import training
    from deployer.report.console import print_json, stderr_console
    from deployer.report.live import Reporter
    from deployer.report.results import image_line
    from deployer.service.release import read_release

    if options.local:
        raise click.UsageError(
            "an image is for AWS; the local AWS needs none, so there is no image --local"
        )
    begun = time.monotonic()
    started()
    settings = settings_of(options)
    refuse_incomplete(settings.project)
    reporter = Reporter(stderr_console(color=options.color), options.wording)
    with reporter, Interrupts(reporter).installed():
        if training.needed(settings):
            training.train(settings, reporter.emit, os.environ)
        release = read_release(settings, reporter.emit)
        key = image_key(release.image_keys, function)
        context = release.contexts[key]
        name = f"{settings.prefix}:{context.image_tag}"
        reporter.emit(StepStarted("image", "create"))

        def tell(text: str, *, lasting: bool = False) -> None:
            reporter.emit(StepProgress("image", text, lasting))

        built = build_and_save(
            context, name, output, settings.builder, tell, release.model_files(key)
        )
        reporter.emit(StepFinished("image", "create", time.monotonic() - begun))
    document = {
        "image": name,
        "builder": built.builder,
        "base": context.base,
        "architecture": context.architecture,
        "digest": built.digest,
        "layers": [{"what": what, "bytes": size} for what, size in built.layers],
        "output": str(output),
    }
    if options.as_json:
        print_json(sys.stdout, document)
    else:
        click.echo(image_line(document))


def image_key(image_of: Mapping[str, str], function: str | None) -> str:
    """Return the key of the function's image, or of the only image if no function is named."""
    keys = set(image_of.values())
    if function is None and len(keys) == 1:
        return keys.pop()
    if function is not None and function in image_of:
        return image_of[function]
    raise click.UsageError(
        f"name one with --function: {', '.join(image_of)} do not all share one image"
    )
