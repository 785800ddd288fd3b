"""The builder that needs no engine: base layers from their registry, packages from wheels, code
from the folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from deployer.aws.access import Tell, tell_nobody
from deployer.images.base import empty_base, read_base
from deployer.images.context import NO_BASE, Context
from deployer.images.layers import BuiltImage, Layer, add_layers, make_layer
from deployer.images.packages import byte_compile, package_layer
from deployer.images.recipe import Recipe, interpret


def build_image(context: Context, tell: Tell = tell_nobody) -> BuiltImage:
    """Make a context's image; the layers of its base are described, and fetched only when somebody
    opens them.

    Raises:
        BuildError: the Dockerfile, a requirement, the base or a download is at fault.
    """
    base = (
        empty_base(context.architecture)
        if context.base == NO_BASE
        else read_base(context.base, context.architecture, tell)
    )
    inherited = base.config.get("config", {})
    environment = dict(each.partition("=")[::2] for each in inherited.get("Env") or ())
    # AWS's images say so themselves; without a base, a Dockerfile may still copy to it.
    known = {"LAMBDA_TASK_ROOT": "/var/task"} if context.base == NO_BASE else {}
    recipe = interpret(context, {**known, **environment}, inherited.get("WorkingDir") or "/")
    layers = [package_layer(context, recipe, tell), _code_layer(context, recipe)]
    config = {
        "Cmd": list(recipe.command),
        "Env": [
            f"{name}={value}" for name, value in recipe.environment.items() if name not in known
        ],
        "WorkingDir": recipe.workdir,
    }
    return add_layers(base, tuple(each for each in layers if each), config)


def _code_layer(context: Context, recipe: Recipe) -> Layer:
    if context.base == NO_BASE:  # no Python in it to compile for
        return make_layer(recipe.files, "code")
    with tempfile.TemporaryDirectory(prefix="deployer-code-") as folder:
        for name, path in recipe.files.items():
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            target.chmod(path.stat().st_mode & 0o777 | 0o600)
        byte_compile(Path(folder), "", context.python)
        files = {
            path.relative_to(folder).as_posix(): path
            for path in Path(folder).rglob("*")
            if path.is_file()
        }
        return make_layer(files, "code")
