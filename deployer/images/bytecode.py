"""Byte-compile a folder for an image. Run as a program by the Python version that the image has: it
uses nothing else.

    python -I bytecode.py FOLDER PREFIX

PREFIX is where the folder will lie; tracebacks then name the right files. The .pyc files are never
checked against their
sources (unchecked-hash): an image does not change, and times would make each build another.

marshal's newer formats depend on what else is in memory (on 3.13, two of 86 files differed between
processes). So format 2 is written: 2 % larger when compressed. It does not know the constants that
3.14 added; such a file takes the newest.
"""

import importlib.util
import marshal
import os
import sys
from concurrent.futures import ProcessPoolExecutor

UNCHECKED_HASH = 0b01


def compile_file(path: str, name: str) -> bool:
    """Write the .pyc of one file, unless it is no Python that this version understands (a template,
    say).
    """
    with open(path, "rb") as stream:
        source = stream.read()
    try:
        code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError):
        return False
    try:
        body = marshal.dumps(code, 2)
    except ValueError:
        body = marshal.dumps(code)
    target = importlib.util.cache_from_source(path, optimization="")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    header = (
        importlib.util.MAGIC_NUMBER
        + UNCHECKED_HASH.to_bytes(4, "little")
        + importlib.util.source_hash(source)
    )
    with open(target, "wb") as stream:
        stream.write(header + body)
    return True


def main(folder: str, prefix: str) -> None:
    paths: list[str] = []
    names: list[str] = []
    for here, _, files in os.walk(folder):
        for file in files:
            if file.endswith(".py"):
                paths.append(os.path.join(here, file))
                names.append(prefix + paths[-1][len(folder) :].replace(os.sep, "/"))
    if len(paths) < 100:
        done = list(map(compile_file, paths, names))
    else:
        with ProcessPoolExecutor() as pool:
            done = list(pool.map(compile_file, paths, names, chunksize=20))
    print(f"{sum(done)} of {len(done)} modules")


if __name__ == "__main__":
    main(*sys.argv[1:])
