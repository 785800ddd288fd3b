"""Put the template of new projects, which stands at the top level and in examples/, into the wheel.

setup.cfg describes the package.
"""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # an isolated build starts without it

from deployer.project.template import pack  # noqa: E402  needs the line above


class BuildWithTemplate(build_py):
    """Builds deployer/template/ beside the modules, except for an editable installation."""

    def run(self) -> None:
        super().run()
        if not getattr(self, "editable_mode", False):
            folder = Path(self.build_lib, "deployer", "template")
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier build
            pack(folder, ROOT)


setup(cmdclass={"build_py": BuildWithTemplate})
