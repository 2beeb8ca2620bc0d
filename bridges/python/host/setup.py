# SPDX-License-Identifier: MIT
"""Builds the extension on the installed libsnakepit, from this checkout's sources.

Meson does the same in the main build (see meson.build); this is for pip. The codec and
what it needs of the library's lower layers are built in, from the same sources.
"""

import shutil
import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BRIDGE = HERE.parent / "src"
CODEC = (
    "decode.c",
    "encode.c",
    "error_codes.c",
    "extension.c",
    "memory.c",
    "part_read.c",
    "part_write.c",
)
WIRE = ("json.c", "json_text.c", "json_walk.c", "tensor.c")
SHARED = (
    "_array_errors.py",
    "_array_messages.py",
    "_arrays.py",
    "_bigint.py",
    "_error_classes.py",
    "_failures.py",
    "_values.py",
)
FLAGS = ["-std=c11", "-fvisibility=hidden"]


def pkg_config(what):
    done = subprocess.run(
        ["pkg-config", what, "snakepit"], check=True, stdout=subprocess.PIPE
    )
    return done.stdout.decode().split()


class BuildExtension(build_ext):
    """Adds what lies outside this folder."""

    def build_extension(self, ext):
        outside = [BRIDGE / "_worker" / name for name in CODEC]
        outside += [ROOT / "src/wire" / name for name in WIRE]
        outside += sorted((ROOT / "src/base").glob("*.c"))
        ext.extra_objects += self.compiler.compile(
            [str(path) for path in outside],
            output_dir=self.build_temp,
            macros=ext.define_macros,
            include_dirs=ext.include_dirs,
            extra_postargs=[*FLAGS, "-fPIC"],
        )
        ext.extra_link_args += pkg_config("--libs")
        # All but its beginning is this module's own: nothing of it is for others to see.
        exports = Path(self.build_temp).absolute() / "exports"
        exports.write_text("{ global: PyInit__snakepit; local: *; };\n")
        ext.extra_link_args.append(f"-Wl,--version-script={exports}")
        super().build_extension(ext)


class BuildModules(build_py):
    """Adds the modules that belong to both packages."""

    def run(self):
        super().run()
        for name in SHARED:
            there = Path(self.build_lib) / "snakepit" / name
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(BRIDGE / "snakepit_bridge" / name, there)


host = Extension(
    "snakepit._snakepit",
    sources=[
        f"src/_snakepit/{p.name}" for p in sorted((HERE / "src/_snakepit").glob("*.c"))
    ],
    include_dirs=[str(ROOT / "src"), str(ROOT / "include")],
    define_macros=[("_GNU_SOURCE", None)],
    extra_compile_args=FLAGS,
    libraries=["pthread"],
)

setup(ext_modules=[host], cmdclass={"build_ext": BuildExtension, "build_py": BuildModules})
