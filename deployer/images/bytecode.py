"""Byte-compile a folder for an image. Run with the image's Python version; imports only the
standard library.

    python -I bytecode.py FOLDER PREFIX

PREFIX is the folder's path in the image, for tracebacks. The .pyc files are of the kind
unchecked-hash, which is never compared with its source: an image does not change, and modification
times would give every build another digest.

The code is marshalled in format 2, which costs 2 % of compressed size. The output of newer formats
depends on what else is in memory: on 3.13, two of 86 files differed between processes. Format 2
lacks the constants that 3.14 added; files that contain them are written in the newest format.
"""

import importlib.util
import marshal
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

UNCHECKED_HASH = 0b01


def compile_file(path: str, name: str) -> bool:
    """Write the .pyc of a file, and return whether it is valid Python. A template may not be."""
    source = Path(path).read_bytes()
    try:
        code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError):
        return False
    try:
        body = marshal.dumps(code, 2)
    except ValueError:
        body = marshal.dumps(code)
    target = Path(importlib.util.cache_from_source(path, optimization=""))
    target.parent.mkdir(parents=True, exist_ok=True)
    header = (
        importlib.util.MAGIC_NUMBER
        + UNCHECKED_HASH.to_bytes(4, "little")
        + importlib.util.source_hash(source)
    )
    target.write_bytes(header + body)
    return True


def main(folder: str, prefix: str) -> None:
    paths: list[str] = []
    names: list[str] = []
    for parent, _, files in os.walk(folder):
        for file in files:
            if file.endswith(".py"):
                path = str(Path(parent, file))
                paths.append(path)
                names.append(prefix + path[len(folder) :].replace(os.sep, "/"))
    if len(paths) < 100:
        results = list(map(compile_file, paths, names))
    else:
        with ProcessPoolExecutor() as pool:
            results = list(pool.map(compile_file, paths, names, chunksize=20))
    print(f"{sum(results)} of {len(results)} modules")


if __name__ == "__main__":
    main(*sys.argv[1:])
