"""Entry points: signals, streams and the Python version, before anything else is imported."""

import atexit
import os
import signal
import sys

OLDEST = (3, 10)


def leave(number: int, frame: object) -> None:
    """End at once with the exit code of an interrupted command, until a session has its own
    handlers.
    """
    os.write(2, b"interrupted\n")
    os._exit(130)


def ignore() -> None:
    """Ignore signals at exit: Python's default action would change the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def refuse(message: str, advice: str) -> int:
    sys.stderr.write(f"error: {message}\n{advice}\n")
    return 1


def open_streams() -> None:
    """Open the null device for a closed stdin, stdout or stderr; escape characters they cannot
    print.

    Otherwise the next file to be opened would take the place of the closed stream, and output would
    be written into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            # It stays open as long as the process.
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def main() -> int:
    """Run the command line; return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    atexit.register(ignore)
    open_streams()
    if sys.platform == "win32":
        return refuse("deployer does not run on Windows itself", "run it in WSL: wsl --install")
    from deployer.hints import environment_advice

    if sys.version_info < OLDEST:
        oldest, running = (
            ".".join(map(str, version[:2])) for version in (OLDEST, sys.version_info)
        )
        return refuse(
            f"deployer needs Python {oldest} or newer; {sys.executable} is {running}",
            environment_advice(),
        )
    try:
        from deployer.cli import cli
        from deployer.commands.group import run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("deployer"):
            raise
        return refuse(f"{sys.executable} has no package {error.name}", environment_advice())
    return run(cli)


if __name__ == "__main__":
    sys.exit(main())
