# SPDX-License-Identifier: MIT
"""Part of the build: put the package beside its addon, where it can be run.

stage.py STAMP SOURCE_FOLDER BUILD_FOLDER FILE...
"""

import os
import shutil
import sys


def main(stamp, source, build, *files):
    for file in files:
        there = os.path.join(build, os.path.relpath(file, source))
        os.makedirs(os.path.dirname(there), exist_ok=True)
        # A new file in the old one's place: who has it open keeps what it had.
        shutil.copy2(file, there + ".new")
        os.replace(there + ".new", there)
    with open(stamp, "w", encoding="utf-8") as file:
        file.write("staged\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
