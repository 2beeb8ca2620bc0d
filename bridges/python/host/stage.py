# SPDX-License-Identifier: MIT
"""Part of the build: put the package where it can be imported, and nothing else.

stage.py STAMP FOLDER FILE...
"""

import os
import shutil
import sys


def main(stamp, folder, *files):
    package = os.path.join(folder, "snakepit")
    os.makedirs(package, exist_ok=True)
    wanted = {os.path.basename(file): file for file in files}
    for name in os.listdir(package):
        if name not in wanted and name != "__pycache__":
            os.unlink(os.path.join(package, name))  # of a file that is no more
    for name, file in wanted.items():
        # A new file in the old one's place: running programs keep the one they mapped.
        there = os.path.join(package, name)
        shutil.copy2(file, there + ".new")
        os.replace(there + ".new", there)
    with open(stamp, "w", encoding="utf-8") as file:
        file.write("staged\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
