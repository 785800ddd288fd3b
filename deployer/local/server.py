"""The local AWS's own process: `python -m deployer.local.server PROJECT`. Started and ended by `process`."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

ORPHAN_CHECK_S = 2.0


def main(project: Path) -> None:
    """Serve until SIGTERM, or until the project's folder is gone."""
    # moto reads these when it is imported or asked; AWS's own settings of the user were left behind by `process`.
    os.environ["MOTO_LAMBDA_STUB_ECR"] = "false"  # a function's image must exist
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
    from moto.core.config import default_user_config
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from deployer.local.gateway import Gateway

    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    pid = os.getpid()
    server = make_server("127.0.0.1", 0, _not_yet, threaded=True, request_handler=MotoRequestHandler)
    server.daemon_threads = True
    endpoint = f"http://127.0.0.1:{server.server_port}"
    os.environ["MOTO_PORT"] = str(server.server_port)
    gateway = Gateway(DomainDispatcherApplication(create_backend_app), project, pid, endpoint)
    server.app = gateway
    gc.freeze()  # moto stays as it is, and need not be walked again

    def end(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    record = project / ".deployer" / "local" / "server.json"
    _write(record, {"pid": pid, "port": server.server_port})
    threading.Thread(target=_watch, args=(record, pid), daemon=True).start()
    print(f"serving {project} on port {server.server_port} as process {pid}", flush=True)
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        gateway.close()
        print(f"process {pid} ended", flush=True)


def _not_yet(environ: object, start_response: object) -> list[bytes]:
    raise AssertionError("the server does not serve before its application is set")


def _write(path: Path, value: object) -> None:
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(value), encoding="utf-8")
    aside.replace(path)


def _watch(record: Path, pid: int) -> None:
    """End the server when its record is gone or names another process: nobody could find it any more."""
    while True:
        time.sleep(ORPHAN_CHECK_S)
        try:
            known = json.loads(record.read_text(encoding="utf-8")).get("pid") == pid
        except (OSError, ValueError):
            known = False
        if not known:
            print(f"{record} does not name process {pid} any more", flush=True)
            os.kill(pid, signal.SIGTERM)
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
