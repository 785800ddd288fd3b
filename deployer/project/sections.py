"""Which place sets a setting: the sections of setup.cfg, the environment, the options.

In rising order: the setting's default, `[deployer]`, `[deployer.STAGE]`, `[deployer:NAME]`,
`[deployer.STAGE:NAME]`, the environment (DEPLOYER_MEMORY_MB), an option (--stage).
"""

from __future__ import annotations

import configparser
import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deployer.files import Unreadable, read_text
from deployer.project import parsers
from deployer.project.declared import SETTINGS

SECTION = "deployer"
VARIABLE = "DEPLOYER_"
# Values that commands read from the environment and that no file may hold.
SECRETS = ("api_key", "token")
_LIKE = 0.86  # similarity above which a section is [deployer] misspelt; that of [deploy] is below
# Why a section of a stage may not hold these.
_OF_ALL_STAGES = {
    "stage": "the stage decides which sections hold, so none of theirs can choose it",
    "service": "all stages are stages of one service",
}


@dataclass(frozen=True)
class Section:
    """A section of settings: of all stages or one, and of all functions or one ("" for all)."""

    name: str
    stage: str
    function: str
    lines: Mapping[str, str]

    @property
    def rank(self) -> tuple[bool, bool]:
        return bool(self.function), bool(self.stage)


@dataclass(frozen=True)
class Given:
    """A value that a place gives a setting.

    Args:
        source: the place, as `config show` names it, such as "[deployer.prod]".
        place: the place with the setting's name, as errors have it.
        function: the only function that it holds for; "" for all.
    """

    source: str
    place: str
    text: str
    function: str = ""


@dataclass
class Places:
    """What all places give, by setting and in rising order.

    Args:
        stage: the one that is used, which chooses the sections.
        elsewhere: what sections of other stages give.
        sections: of the file.
    """

    stage: str
    given: dict[str, list[Given]] = field(default_factory=dict)
    elsewhere: list[tuple[str, Given]] = field(default_factory=list)
    sections: Sequence[Section] = ()

    def of(self, setting: str, function: str = "") -> list[Given]:
        """Return what holds for a function, or for all ("")."""
        return [one for one in self.given.get(setting, ()) if one.function in ("", function)]

    @property
    def functions(self) -> list[str]:
        """The names of the functions with sections that hold."""
        names = (section.function for section in self.sections if section.stage in ("", self.stage))
        return list(dict.fromkeys(filter(None, names)))

    @property
    def unused(self) -> list[Section]:
        """The sections of other stages."""
        return [section for section in self.sections if section.stage not in ("", self.stage)]

    @property
    def stage_meant(self) -> str | None:
        """A stage with sections that is spelt like the one that is used, which has none."""
        stages = {section.stage for section in self.sections}
        close = difflib.get_close_matches(self.stage, filter(None, stages), n=1)
        return close[0] if close and close[0] != self.stage else None


def read_places(
    path: Path,
    options: Mapping[str, str | None],
    environment: Mapping[str, str],
    problems: list[str],
) -> Places:
    """Collect what all places give.

    Args:
        path: of setup.cfg.
        options: values by setting, None for options that were not given.
        environment: only names that begin with DEPLOYER_ matter.
    """
    sections = read_sections(path, problems)
    unknown: list[str] = []  # told after those of the file
    above = [*_of_environment(environment, unknown), *_of_options(options)]
    base = next((one.lines for one in sections if one.name == SECTION), {})
    chosen = dict(above).get("stage")
    default = str(SETTINGS["stage"].default)
    places = Places(chosen.text if chosen else base.get("stage", default).strip(), {}, [], sections)
    for section in sections:
        for name, given in _of_section(section, problems):
            if section.stage in ("", places.stage):
                places.given.setdefault(name, []).append(given)
            else:
                places.elsewhere.append((name, given))
    problems += unknown
    for name, given in above:
        places.given.setdefault(name, []).append(given)
    return places


def read_sections(path: Path, problems: list[str]) -> list[Section]:
    """Return the sections of settings in setup.cfg, the weakest first."""
    # No section is the default of all others: [DEFAULT] would be another tool's.
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(read_text(path), source=path.name)
    except Unreadable as error:
        problems.append(f"{path.name} {error}")
    except configparser.Error as error:
        problems.append(f"{path.name}: {' '.join(str(error).split())}")
        return []  # the parser is left with half a file
    sections = []
    for name in parser.sections():
        section = _section(name, parser[name], problems)
        if section:
            sections.append(section)
    return sorted(sections, key=lambda section: section.rank)


def _section(name: str, lines: Mapping[str, str], problems: list[str]) -> Section | None:
    """Return a section of settings; None for one of another tool, and for a wrong one."""
    kind, colon, function = name.partition(":")
    kind, dot, stage = kind.partition(".")
    problem = None
    if kind != SECTION or function != function.strip() or stage != stage.strip():
        meant = _meant(kind, stage.strip(), function.strip())
        problem = f"did you mean [{meant}]?" if meant else ""
    elif (colon and not function) or (dot and not stage):
        problem = "a name is missing: [deployer.STAGE], [deployer:FUNCTION]"
    elif "." in function:
        model, _, other = function.partition(".")
        problem = f"did you mean [{SECTION}.{stage or other}:{model}]? The stage comes first"
    elif dot:
        problem = _stage_problem(stage)
    if problem is None:
        return Section(name, stage, function, lines)
    if problem:
        problems.append(f"setup.cfg [{name}]: {problem}")
    return None


def _stage_problem(stage: str) -> str | None:
    try:
        parsers.stage(stage)
    except ValueError as error:
        hint = f"; a function's section is [{SECTION}:{stage}]" if "_" in stage else ""
        return f"{stage!r} is no stage: it {error}{hint}"
    return None


def _meant(kind: str, stage: str, function: str) -> str:
    """Return the section that a name misspells; "" for a name of another tool's."""
    word, _, rest = (re.sub(r"[\s_/-]+", " ", kind).strip().lower()).partition(" ")
    if difflib.SequenceMatcher(None, word, SECTION).ratio() <= _LIKE:
        return ""
    stage = stage or rest.replace(" ", "-")
    return SECTION + (f".{stage}" if stage else "") + (f":{function}" if function else "")


def _of_section(section: Section, problems: list[str]) -> Iterator[tuple[str, Given]]:
    source = f"[{section.name}]"
    allowed = [
        name
        for name, declaration in SETTINGS.items()
        if (not section.function or declaration.per_function)
        and not (section.stage and name in _OF_ALL_STAGES)
    ]
    for name, text in section.lines.items():
        place = f"setup.cfg {source} {name}"
        if name in allowed:
            yield name, Given(source, place, text.strip(), section.function)
        elif name in _OF_ALL_STAGES and section.stage:
            problems.append(f"{place}: not in a stage's section: {_OF_ALL_STAGES[name]}")
        elif name in SETTINGS:
            where = f"[{SECTION}.{section.stage}]" if section.stage else f"[{SECTION}]"
            problems.append(
                f"{place}: it is the same for all functions: set it in {where}; a function's own "
                f"may be {', '.join(allowed)}"
            )
        else:
            problems.append(f"{place}: unknown{suggestion(name, allowed)}")


def _of_environment(
    environment: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[str, Given]]:
    for variable, text in sorted(environment.items()):
        name = variable.removeprefix(VARIABLE).lower()
        if not variable.startswith(VARIABLE) or name in SECRETS:
            continue
        if name in SETTINGS:
            yield name, Given(variable, f"environment {variable}", text.strip())
        else:
            problems.append(f"environment {variable}: unknown{suggestion(name, SETTINGS)}")


def _of_options(options: Mapping[str, str | None]) -> Iterator[tuple[str, Given]]:
    for name, text in options.items():
        if text is not None:
            option = f"--{name.replace('_', '-')}"
            yield name, Given(option, option, text)


def suggestion(name: str, allowed: Collection[str]) -> str:
    """Return what a wrong name may mean, to stand behind it."""
    close = difflib.get_close_matches(name, allowed, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(allowed)}"
