# SPDX-License-Identifier: MIT
"""Builds the extension with the worker runtime inside, from this checkout's sources.

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
RUNTIME = ("src/base", "src/hardware", "src/wire", "src/runtime")
FLAGS = ["-std=c11", "-fvisibility=hidden"]


class BuildExtension(build_ext):
    """Builds the runtime first: its sources lie outside this folder, its messages are
    generated."""

    def build_extension(self, ext):
        generated = Path(self.build_temp).absolute() / "proto"
        generated.mkdir(parents=True, exist_ok=True)
        command = ["protoc-c", f"--proto_path={ROOT / 'proto'}", f"--c_out={generated}"]
        subprocess.run([*command, *MESSAGES], check=True)
        ext.include_dirs.append(str(generated))
        messages = [generated / name.replace(".proto", ".pb-c.c") for name in MESSAGES]
        runtime = [
            path for folder in RUNTIME for path in sorted((ROOT / folder).glob("*.c"))
        ]
        ext.extra_objects += self.compile(ext, messages, ["-w"])
        ext.extra_objects += self.compile(ext, runtime, FLAGS)
        # The runtime inside is this module's own: nothing of it is for others to see.
        exports = generated / "exports"
        exports.write_text("{ global: PyInit__worker; local: *; };\n")
        ext.extra_link_args.append(f"-Wl,--version-script={exports}")
        super().build_extension(ext)

    def compile(self, ext, sources, flags):
        return self.compiler.compile(
            [str(path) for path in sources],
            output_dir=self.build_temp,
            macros=ext.define_macros,
            include_dirs=ext.include_dirs,
            extra_postargs=[*flags, "-fPIC"],
        )


worker = Extension(
    "snakepit_bridge._worker",
    sources=[
        f"src/_worker/{p.name}" for p in sorted((HERE / "src/_worker").glob("*.c"))
    ],
    include_dirs=[str(ROOT / "src"), str(ROOT / "include")],
    define_macros=[("_GNU_SOURCE", None)],
    extra_compile_args=FLAGS,
    libraries=["nghttp2", "protobuf-c", "pthread"],
)

setup(ext_modules=[worker], cmdclass={"build_ext": BuildExtension})
