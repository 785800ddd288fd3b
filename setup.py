"""Put the template of new projects, which stands at the top level and in examples/, into the wheel.

setup.cfg describes the package, but for its long description: README.md, whose links lead to the
repository when GitHub builds a release, since PyPI has no other files.
"""

import os
import re
import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # an isolated build starts without it

from deployer import __version__  # noqa: E402  needs the line above
from deployer.project.template import pack  # noqa: E402  likewise


class BuildWithTemplate(build_py):
    """Builds deployer/template/ beside the modules, except for an editable installation."""

    def run(self) -> None:
        super().run()
        if not getattr(self, "editable_mode", False):
            folder = Path(self.build_lib, "deployer", "template")
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier build
            pack(folder, ROOT)


def long_description() -> str:
    """Return README.md, with absolute links if the environment names a repository on GitHub."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    repository = os.environ.get("GITHUB_REPOSITORY")
    if not repository:
        return text
    files = f"https://github.com/{repository}/blob/v{__version__}/"
    pictures = f"https://raw.githubusercontent.com/{repository}/v{__version__}/"
    text = re.sub(r"(?<=!\[)([^]]*\]\()(?!https?:)", rf"\g<1>{pictures}", text)
    return re.sub(r"(?<=\]\()(?!https?:|#)", files, text)


setup(
    cmdclass={"build_py": BuildWithTemplate},
    long_description=long_description(),
    long_description_content_type="text/markdown",
)
