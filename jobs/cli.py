"""What all jobs share at their edge: flags, environment, config file and exit codes.

A setting comes from the first of: a flag, the environment variable `ACTIONLIB_<FLAG>`, the file named by
`--config` or `ACTIONLIB_CONFIG`, the default in the job's `Config`. Exit codes: 0 done, 1 the job failed,
2 the input is wrong and running again unchanged cannot help, 3 another run is at it already, 130 interrupted.
"""

from __future__ import annotations

import os
import shlex
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro
import yaml

from actionlib.errors import ActionlibError, AlreadyRunningError, InputError

Config = TypeVar("Config")

_PREFIX = "ACTIONLIB_"
_SOURCES = (
    "A setting is taken from its flag, else from the environment variable ACTIONLIB_<FLAG> (such as "
    "ACTIONLIB_OUTPUT), else from the YAML file given by --config FILE or ACTIONLIB_CONFIG, else its default."
)


def run(main: Callable[[Config], None], config: type[Config], argv: Sequence[str] | None = None) -> int:
    """Parse the settings, call `main` with them, and return the exit code of the process.

    Errors that this project raises on purpose are printed as one message; any other is a defect and is raised.
    """
    try:
        main(parse(config, sys.argv[1:] if argv is None else argv, os.environ))
    except ActionlibError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, AlreadyRunningError) else 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        return 130
    return 0


def parse(config: type[Config], argv: Sequence[str], environment: Mapping[str, str]) -> Config:
    """The settings as one `config`, a frozen dataclass of plain, optional and tuple fields.

    Raises:
        InputError: an unreadable config file, an unknown key in it, or a value of the wrong shape.
        SystemExit: tyro's own, 2 for a wrong flag or value and 0 after `--help`.
    """
    hints = typing.get_type_hints(config)
    path, flags = _take_config_flag(argv, environment)
    file = _read_config(path, hints) if path else {}
    variables = {n: environment[_PREFIX + n.upper()] for n in hints if environment.get(_PREFIX + n.upper())}
    # A flag given again replaces what was given before it, so that later tokens win.
    tokens = [token for name, value in file.items() for token in _tokens(name, value, hints[name], path)]
    for name, text in variables.items():
        tokens += _tokens(name, _from_text(text, hints[name]), hints[name], _PREFIX + name.upper())
    description = f"{(config.__doc__ or '').strip()}\n\n{_SOURCES}"
    try:
        return tyro.cli(config, args=[*tokens, *flags], description=description)
    except SystemExit as stop:
        if stop.code and tokens:
            names = [_PREFIX + name.upper() for name in variables] + ([path] if path else [])
            print(f"settings also came from: {', '.join(names)}", file=sys.stderr)
        raise


def _take_config_flag(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[str, list[str]]:
    """The config file's path ("" for none) and the other flags."""
    path, rest = environment.get(f"{_PREFIX}CONFIG", ""), []
    tokens = iter(argv)
    for token in tokens:
        if token == "--config":
            path = next(tokens, "")
            if not path:
                raise InputError("--config needs the path of a YAML file")
        elif token.startswith("--config="):
            path = token.removeprefix("--config=")
        else:
            rest.append(token)
    return path, rest


def _read_config(path: str, hints: Mapping[str, Any]) -> dict[str, Any]:
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"--config {path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"--config {path}: it is not a list of `key: value` lines")
    settings = {str(key).replace("-", "_"): value for key, value in content.items()}
    unknown = sorted(set(settings) - set(hints))
    if unknown:
        raise InputError(
            f"--config {path}: unknown key {', '.join(unknown)}; it may have {', '.join(sorted(hints))}"
        )
    return settings


def _tokens(name: str, value: Any, hint: Any, where: str) -> list[str]:
    """A setting as command line tokens, so that every value is parsed and checked by the same code."""
    flag = "--" + name.replace("_", "-")
    if value is None:
        return []
    if hint is bool:
        if not isinstance(value, bool):
            raise InputError(f"{where}: {name} is {value!r}; it is true or false")
        return [flag if value else flag.replace("--", "--no-", 1)]
    if _is_tuple(hint):
        if isinstance(value, dict):  # `lists: {train1: a.txt}` reads better in YAML than `train1=a.txt`
            value = [f"{key}={item}" for key, item in value.items()]
        return [flag, *(str(item) for item in (value if isinstance(value, list) else [value]))]
    if isinstance(value, dict | list):
        raise InputError(f"{where}: {name} is {value!r}; it is a single value")
    return [f"{flag}={value}"]


def _from_text(text: str, hint: Any) -> Any:
    """The value of an environment variable: words for a tuple, 1/0 or true/false for a switch, else as it is."""
    if _is_tuple(hint):
        return shlex.split(text)
    if hint is bool:
        return {"1": True, "true": True, "0": False, "false": False}.get(text.lower(), text)
    return text


def _is_tuple(hint: Any) -> bool:
    """Whether values are words: `tuple[str, ...]`, or that `| None`."""
    return any(typing.get_origin(kind) is tuple for kind in (hint, *typing.get_args(hint)))
