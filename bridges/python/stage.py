# SPDX-License-Identifier: MIT
"""Part of the build: put the package where it can be run, compiled, and nothing else.

stage.py STAMP SOURCE_FOLDER BUILD_FOLDER EXTENSION FILE...
"""

import compileall
import os
import shutil
import sys


def main(stamp, source, build, extension, *files):
    package = os.path.join(build, "snakepit_bridge")
    wanted = {os.path.join(package, os.path.basename(extension)): extension}
    for file in files:
        wanted[os.path.join(build, os.path.relpath(file, source))] = file
    for folder, _, names in os.walk(package):
        for name in names:
            there = os.path.join(folder, name)
            if there not in wanted and not there.endswith(".pyc"):
                os.unlink(there)  # of a file that is no more
    for there, file in wanted.items():
        os.makedirs(os.path.dirname(there), exist_ok=True)
        # A new file in the old one's place: running workers keep the one they mapped.
        shutil.copy2(file, there + ".new")
        os.replace(there + ".new", there)
    compileall.compile_dir(package, quiet=1)
    with open(stamp, "w", encoding="utf-8") as file:
        file.write("staged\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
