# SPDX-License-Identifier: MIT
"""Builds the extension with the worker runtime inside, from the sources of this checkout.

Meson does the same in the main build (see meson.build); this is for pip.
"""

import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MESSAGES = (
    "google/protobuf/any.proto",
    "google/protobuf/timestamp.proto",
    "google/rpc/status.proto",
    "google/rpc/error_details.proto",
    "grpc/health/v1/health.proto",
    "snakepit/bridge.proto",
)


def relative(paths):
    """Setuptools wants paths relative to this folder."""
    return ["../../" + p.relative_to(ROOT).as_posix() for p in sorted(paths)]


class BuildExtension(build_ext):
    """Generates the message code first."""

    def build_extension(self, ext):
        generated = Path(self.build_temp).absolute() / "proto"
        generated.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["protoc-c", f"--proto_path={ROOT / 'proto'}", f"--c_out={generated}", *MESSAGES],
            check=True,
        )
        ext.include_dirs.append(str(generated))
        self.extra_sources = [
            str(generated / name.replace(".proto", ".pb-c.c")) for name in MESSAGES
        ]
        objects = self.compiler.compile(
            self.extra_sources, output_dir="/", include_dirs=ext.include_dirs,
            extra_postargs=["-w", "-fPIC"],
        )  # fmt: skip
        ext.extra_objects.extend(objects)
        super().build_extension(ext)


worker = Extension(
    "snakepit_bridge._worker",
    sources=[
        *(p.relative_to(HERE).as_posix() for p in sorted((HERE / "src/_worker").glob("*.c"))),
        *relative((ROOT / "src/base").glob("*.c")),
        *relative((ROOT / "src/wire").glob("*.c")),
        *relative((ROOT / "src/runtime").glob("*.c")),
    ],
    include_dirs=[str(ROOT / "src"), str(ROOT / "include")],
    define_macros=[("_GNU_SOURCE", None)],
    extra_compile_args=["-std=c11", "-fvisibility=hidden"],
    libraries=["nghttp2", "protobuf-c", "pthread"],
)

setup(ext_modules=[worker], cmdclass={"build_ext": BuildExtension})
