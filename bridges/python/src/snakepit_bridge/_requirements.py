# SPDX-License-Identifier: MIT
"""Whether the packages that a requirements file names are installed, in the versions it
wants: looked at before the adapter is imported, so that what is missing is said in one
sentence and not by the first import that fails.

Of pip's format it understands names, extras, version specifiers (PEP 440), markers about
python_version and sys_platform, ``-r`` and ``-c``, and ``name @ url``, of which the name
counts. Other options say where packages come from, and are nothing that can be checked.
"""

import os
import re
import sys

_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*"
    r"(?:@\s*(?P<url>\S+)|\(?(?P<wanted>[^;()]*)\)?)\s*(?:;(?P<marker>.*))?$"
)
_SPECIFIER = re.compile(r"(~=|===?|!=|<=|>=|<|>)\s*([^\s,]+)$")
_VERSION = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[._-]?(?P<pre>a|b|c|rc|alpha|beta|pre|preview)[._-]?(?P<pre_n>\d*))?"
    r"(?:(?:[._-]?(?:post|rev|r)[._-]?(?P<post>\d*))|-(?P<post_bare>\d+))?"
    r"(?:[._-]?dev[._-]?(?P<dev>\d*))?(?:\+(?P<local>[a-z0-9._-]+))?$"
)
_PRE = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_MARKER = re.compile(
    r"\s*(python_version|python_full_version|sys_platform|platform_system)\s*"
    r"(==|!=|<=|>=|<|>)\s*['\"]([^'\"]*)['\"]\s*$"
)


class RequirementsError(Exception):
    """What is not as the file wants it, all of it."""


def version_key(text):
    """What orders versions as PEP 440 has it; ValueError for what is none."""
    found = _VERSION.match(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no version")
    release = [int(part) for part in found["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    post = found["post"] if found["post"] is not None else found["post_bare"]
    dev = found["dev"]
    if found["pre"] is not None:
        pre = (_PRE[found["pre"]], int(found["pre_n"] or 0))
    elif dev is not None and post is None:
        pre = (-1, 0)  # 1.0.dev1 comes before 1.0a1
    else:
        pre = (3, 0)
    return (
        int(found["epoch"] or 0),
        tuple(release),
        pre,
        -1 if post is None else int(post or 0),
        sys.maxsize if dev is None else int(dev or 0),
    )


def _starts_with(version, prefix):
    epoch, release = version_key(version)[:2]
    wanted_epoch, _, wanted = prefix.rpartition("!")
    parts = [int(part) for part in wanted.split(".")]
    release = list(release) + [0] * (len(parts) - len(release))
    return epoch == int(wanted_epoch or 0) and release[: len(parts)] == parts


def satisfies(version, wanted):
    """Whether a version fits specifiers such as ">=1.2,<2"; ValueError when they are none."""
    for specifier in filter(None, (part.strip() for part in wanted.split(","))):
        found = _SPECIFIER.match(specifier)
        if found is None:
            raise ValueError(f"{specifier!r} is no version specifier")
        if not _fits(version, *found.groups()):
            return False
    return True


def _fits(version, operator, wanted):
    if operator == "===":
        return version == wanted
    if operator in ("==", "!=") and wanted.endswith(".*"):
        return _starts_with(version, wanted[:-2]) == (operator == "==")
    if operator == "~=":
        prefix = wanted.rsplit(".", 1)[0]
        return version_key(version) >= version_key(wanted) and _starts_with(version, prefix)
    left, right = version_key(version), version_key(wanted)
    return {"==": left == right, "!=": left != right, "<=": left <= right,
            ">=": left >= right, "<": left < right, ">": left > right}[operator]


def _applies(marker):
    """Whether a line is for this interpreter; one that cannot be judged is."""
    alternatives = re.split(r"\bor\b", marker)
    return any(
        all(_is_true(part) for part in re.split(r"\band\b", alternative))
        for alternative in alternatives
    )


def _is_true(part):
    found = _MARKER.match(part.strip().strip("()"))
    if found is None:
        return True
    name, operator, value = found.groups()
    if name.startswith("python"):
        length = 2 if name == "python_version" else 3
        here = ".".join(str(n) for n in sys.version_info[:length])
        return _fits(here, operator, value)
    here = sys.platform if name == "sys_platform" else os.uname().sysname
    return (here == value) == (operator == "==")


def lines_of(path):
    """The requirements in a file and those it includes, as (place, text)."""
    folder = os.path.dirname(path)
    with open(path, encoding="utf-8") as file:
        joined = file.read().replace("\\\n", " " * 2)
    for number, line in enumerate(joined.splitlines(), 1):
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        option = re.match(r"(?:-[rc]|--requirement|--constraint)[\s=]*(.+)", text)
        if option is not None and not text.startswith(("-c", "--constraint")):
            yield from lines_of(os.path.join(folder, option[1].strip()))
        elif text and not text.startswith("-"):
            yield f"{path}:{number}", re.sub(r"\s--hash.*", "", text)


def problems(path, version_of):
    """What is not as the file wants it, a sentence each. version_of(name): the installed
    version, None without one."""
    found = []
    for place, text in lines_of(path):
        line = _LINE.match(text)
        if line is None:
            found.append(f"{place}: {text!r} cannot be read as a requirement")
            continue
        try:
            if line["marker"] is not None and not _applies(line["marker"]):
                continue
            version = version_of(line["name"])
            wanted = (line["wanted"] or "").strip()
            if version is None:
                found.append(f"{line['name']}{wanted} is not installed ({place})")
            elif not satisfies(version, wanted):
                found.append(
                    f"{line['name']} is {version}, wanted is {wanted} ({place})")
        except ValueError as failure:
            found.append(f"{place}: {failure}")
    return found


def _installed(name):
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check(path):
    """RequirementsError unless this interpreter has what the file names."""
    found = problems(path, _installed)
    if found:
        raise RequirementsError(
            f"{sys.executable} does not have what {path} asks for: {'; '.join(found)}. "
            f"Try: {sys.executable} -m pip install -r {path}"
        )
