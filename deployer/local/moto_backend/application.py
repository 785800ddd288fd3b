"""Loading moto's server."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]  # WSGI's


def check_installed() -> None:
    """Raise ImportError if the server lacks a package."""
    importlib.import_module("airspeed")
    import moto.server  # noqa: F401  (only whether it can be imported)


def load(port: int) -> Application:
    """Return moto's server as a WSGI application, to be reached at a port of this machine."""
    # moto reads these when it is imported or asked; the user's own were left behind by `process`.
    os.environ["MOTO_LAMBDA_STUB_ECR"] = "false"  # a function's image must exist
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
    os.environ["MOTO_PORT"] = str(port)
    import_states_of_jobs()
    from moto.core.config import default_user_config
    from moto.server import DomainDispatcherApplication, create_backend_app

    # It would write kilobytes for each execution that fails.
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    application: Application = DomainDispatcherApplication(create_backend_app)
    return application


def import_states_of_jobs() -> None:
    """Import the states of Batch's jobs, which moto's interpreter names, without moto's Batch.

    That would import all of EC2, which is half of the local AWS's start.
    """
    spec = importlib.util.find_spec("moto.batch")
    if "moto.batch" in sys.modules or spec is None:
        return
    sys.modules["moto.batch"] = importlib.util.module_from_spec(spec)  # and not executed
    try:
        importlib.import_module("moto.batch.utils")
    finally:
        del sys.modules["moto.batch"]
