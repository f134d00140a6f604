"""Command-line options, generated from the fields of the option dataclasses in :mod:`gpurefine.config`."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from gpurefine.config import GROUPS, Config
from gpurefine.config_file import config_from_values, merged, read_config_file

Function = TypeVar("Function", bound=Callable[..., Any])


class GroupedOption(click.Option):
    """An option that knows under which heading of the help text it belongs."""

    heading = "Files and help"


class GroupedCommand(click.Command):
    """A command whose help lists its options under headings, in the order of the workflow."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, one section per heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "heading", GroupedOption.heading), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def heading_of(group: type) -> str:
    """The first sentence of a dataclass's docstring, as a heading."""
    return (group.__doc__ or group.__name__).strip().splitlines()[0].rstrip(".")


def flag_of(field: dataclasses.Field[Any]) -> str:
    """The option's spelling on the command line."""
    flag = str(field.metadata.get("flag") or field.name.replace("_", "-"))
    return flag if flag.startswith("--") else f"--{flag}"


def help_of(field: dataclasses.Field[Any]) -> str:
    """The option's help text with its unit."""
    text, unit = str(field.metadata["help"]), field.metadata.get("unit")
    return f"{text} [{unit}]" if unit else text


def options_of(group: type) -> Iterator[dataclasses.Field[Any]]:
    """The fields of ``group`` that are options."""
    yield from (field for field in dataclasses.fields(group) if "help" in field.metadata)


def click_option(name: str, group: type, field: dataclasses.Field[Any]) -> Callable[[Function], Function]:
    """The click option of one field of the group called ``name``."""
    hint = typing.get_type_hints(group)[field.name]
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    settings: dict[str, Any] = {
        "help": help_of(field),
        "metavar": field.metadata.get("metavar"),
        "show_default": field.default not in (None, (), False),
        "default": field.default,
        "cls": type("Option", (GroupedOption,), {"heading": heading_of(group)}),
    }
    if typing.get_origin(hint) is tuple:
        settings |= {"multiple": True, "type": kinds[0]}
    elif hint is bool:
        settings |= {"is_flag": True}
    elif "choices" in field.metadata:
        settings |= {"type": click.Choice(field.metadata["choices"], case_sensitive=False)}
    else:
        settings |= {"type": kinds[0] if kinds else hint}
        if "bare" in field.metadata:  # the option may stand without a value
            settings |= {"is_flag": False, "flag_value": field.metadata["bare"]}
    return click.option(flag_of(field), f"{name}__{field.name}", **settings)


def config_options(without: tuple[str, ...] = ()) -> Callable[[Function], Function]:
    """Add every option of :data:`GROUPS`, except the groups and the options ("group.field") in ``without``."""

    def add(function: Function) -> Function:
        for name, group in reversed(GROUPS.items()):
            if name in without:
                continue
            for field in reversed(list(options_of(group))):
                if f"{name}.{field.name}" not in without:
                    function = click_option(name, group, field)(function)
        return function

    return add


def group_options(name: str, group: type) -> Callable[[Function], Function]:
    """Add every option of one dataclass; click passes them as "name__field"."""

    def add(function: Function) -> Function:
        for field in reversed(list(options_of(group))):
            function = click_option(name, group, field)(function)
        return function

    return add


def given_values(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Of what click parsed ("group__field" → value) that which stood on the command line: group → field → value."""
    context = click.get_current_context()
    given: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if "__" in name and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            group, field = name.split("__", 1)
            given.setdefault(group, {})[field] = value
    return given


def config_from(
    files: Mapping[str, str | None],
    config_file: str | None,
    values: Mapping[str, Any],
    ending: str,
    **fixed: dict[str, Any],
) -> Config:
    """The configuration that the command line asks for.

    Args:
        files: model, data_file and prefix as given, None where not.
        config_file: the file of --config; what stands on the command line wins over it.
        values: what click parsed; options that were not given have their defaults.
        ending: what is appended to the model's name where there is no prefix.
        fixed: group → field → value, wins over everything.

    Raises:
        click.UsageError: there is no model or no data.
    """
    stated = {} if config_file is None else read_config_file(config_file)
    given = {name: value for name, value in files.items() if value is not None}
    all_values = merged(stated, given, given_values(values), fixed)
    for key, argument in (("model", "MODEL"), ("data_file", "DATA")):
        if not all_values.get(key):
            where = f", nor does {config_file} name one as {key}" if config_file else ""
            raise click.UsageError(f"Missing argument {argument}{where}.", click.get_current_context())
    all_values.setdefault("prefix", default_prefix(all_values["model"], ending))
    return config_from_values(all_values)


def default_prefix(model: str, ending: str) -> str:
    """Prefix in the current folder made from the model's file name: model.pdb.gz → model_refined."""
    name = Path(model).name.removesuffix(".gz")
    return (Path(name).stem or "model") + ending
