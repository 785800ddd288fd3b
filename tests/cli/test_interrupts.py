"""A signal ends a command wherever it comes."""

from __future__ import annotations

import subprocess
import sys

# Python drops an exception that leaves a destructor.
DROPPED = """
import os, signal
from deployer.commands.asking import ask
from deployer.commands.interrupts import Interrupts

class Destroyed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

with Interrupts(None).installed() as interrupts:
    Destroyed()
    try:
        ask("Go on?", interrupts.stopped.is_set)
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_a_signal_whose_exception_python_drops_ends_the_next_question() -> None:
    command = [sys.executable, "-c", DROPPED]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()
        assert process.stdout and process.stdout.read() == "interrupted\n"
        assert process.stderr and "Exception ignored" in process.stderr.read()
