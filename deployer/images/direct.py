"""The builder without an engine: base layers from a registry, packages from wheels, code from the
context.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployer.aws.access import Tell, tell_nobody
from deployer.images.base import empty_base, read_base
from deployer.images.context import NO_BASE, Context, lay_out
from deployer.images.layers import BuiltImage, Layer, add_layers, files_below, make_layer
from deployer.images.packages import byte_compile, package_layer, pinned_requirements
from deployer.images.recipe import TASK_ROOT, Recipe, interpret, interpret_for_lambda


def build_image(context: Context, tell: Tell = tell_nobody) -> BuiltImage:
    """Build an image. A layer of the base is downloaded only when its blob is opened.

    Raises:
        BuildError: an error in the Dockerfile, the requirements, the base or a download.
    """
    base = (
        empty_base(context.architecture)
        if context.base == NO_BASE
        else read_base(context.base, context.architecture, tell)
    )
    inherited = base.config.get("config", {})
    environment = dict(variable.partition("=")[::2] for variable in inherited.get("Env") or ())
    # AWS's base images set this variable. A Dockerfile may use it without a base, too.
    assumed = {"LAMBDA_TASK_ROOT": TASK_ROOT} if context.base == NO_BASE else {}
    recipe = interpret(context, {**assumed, **environment}, inherited.get("WorkingDir") or "/")
    layers = [package_layer(context, recipe, tell), _code_layer(context, recipe)]
    config = {
        "Cmd": list(recipe.command),
        "Env": [
            f"{name}={value}" for name, value in recipe.environment.items() if name not in assumed
        ],
        "WorkingDir": recipe.workdir,
        **_metadata(recipe, inherited),
    }
    return add_layers(base, tuple(layer for layer in layers if layer), config, recipe.author)


def check_recipe(context: Context) -> None:
    """Raise BuildError for what this builder refuses of the Dockerfile and the requirements.

    Reads no registry.
    """
    recipe = interpret_for_lambda(context)
    if context.base != NO_BASE:
        pinned_requirements(context, recipe)


def _metadata(recipe: Recipe, inherited: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of LABEL, EXPOSE and USER. Labels and ports add to those of the base."""
    metadata: dict[str, Any] = {}
    if recipe.labels:
        metadata["Labels"] = {**(inherited.get("Labels") or {}), **recipe.labels}
    if recipe.ports:
        metadata["ExposedPorts"] = {
            **(inherited.get("ExposedPorts") or {}),
            **{port: {} for port in recipe.ports},
        }
    if recipe.user:
        metadata["User"] = recipe.user
    return metadata


def _code_layer(context: Context, recipe: Recipe) -> Layer:
    """Return the layer of copied files, byte-compiled unless there is no Python in the image."""
    if context.base == NO_BASE:
        return make_layer(recipe.files, "code")
    with tempfile.TemporaryDirectory(prefix="deployer-code-") as folder:
        lay_out(recipe.files, Path(folder))
        byte_compile(Path(folder), "", context.python)
        return make_layer(files_below(Path(folder)), "code")
