"""The places of settings: which wins, which sections hold, and how wrong ones are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.errors import ConfigError
from deployer.project.folder import refuse_foreign
from deployer.project.settings import Settings, load_settings, read_settings

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load settings from the text of a setup.cfg, an environment and options."""

    def load(text: str, environment: dict[str, str] | None = None, **options: Any) -> Settings:
        (tmp_path / "setup.cfg").write_text(text, encoding="utf-8")
        return load_settings(tmp_path, options, environment or {})

    return load


@pytest.fixture
def problems(load: Load) -> Callable[..., list[str]]:
    """Load what must be refused, and return the problems."""

    def problems(*args: Any, **options: Any) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(*args, **options)
        return list(caught.value.problems)

    return problems


# Each line is stronger than all above it, for the function forest in the stage prod.
PLACES = (
    "[deployer]\nmemory_mb = 201\n",
    "[deployer.prod]\nmemory_mb = 202\n",
    "[deployer:forest]\nmemory_mb = 203\n",
    "[deployer.prod:forest]\nmemory_mb = 204\n",
)


@pytest.mark.parametrize("count", range(1, len(PLACES) + 1))
@pytest.mark.parametrize("is_reversed", [False, True])
def test_the_strongest_section_wins_wherever_it_stands_in_the_file(
    load: Load, count: int, is_reversed: bool
) -> None:
    some = PLACES[:count]
    settings = load("".join(reversed(some) if is_reversed else some), stage="prod")
    assert settings.function("forest").memory_mb == 200 + count
    assert settings.defaults.memory_mb == 200 + min(count, 2)


def test_the_environment_is_stronger_than_every_section(load: Load) -> None:
    settings = load("".join(PLACES), {"DEPLOYER_MEMORY_MB": "300"}, stage="prod")
    assert settings.function("forest").memory_mb == settings.defaults.memory_mb == 300


def test_an_option_is_stronger_than_the_environment(load: Load) -> None:
    text = "[deployer]\nregion = us-east-1\n[deployer.prod]\nregion = us-east-2\n"
    variables = {"DEPLOYER_REGION": "eu-west-1"}
    assert load(text, stage="prod").region == "us-east-2"
    assert load(text, variables, stage="prod").region == "eu-west-1"
    assert load(text, variables, stage="prod", region="eu-central-1").region == "eu-central-1"


@pytest.mark.parametrize(
    "base, environment, options, memory",
    [
        ("", {}, {}, 1024),
        ("stage = prod", {}, {}, 2048),
        ("stage = prod", {"DEPLOYER_STAGE": "test"}, {}, 512),
        ("", {"DEPLOYER_STAGE": "prod"}, {}, 2048),
        ("stage = prod", {"DEPLOYER_STAGE": "prod"}, {"stage": "test"}, 512),
        ("", {}, {"stage": "other"}, 1024),
    ],
)
def test_the_stage_that_is_used_chooses_the_sections(
    load: Load, base: str, environment: dict[str, str], options: dict[str, str], memory: int
) -> None:
    text = (
        f"[deployer]\n{base}\n[deployer.prod]\nmemory_mb = 2048\n[deployer.test]\nmemory_mb = 512"
    )
    assert load(text, environment, **options).defaults.memory_mb == memory


def test_a_model_may_be_called_as_a_stage_is(load: Load) -> None:
    settings = load(
        "[deployer.prod]\nmemory_mb = 256\n[deployer:prod]\nmemory_mb = 512\n"
        "[deployer.prod:prod]\ntimeout_s = 3\n",
        stage="prod",
    )
    assert settings.defaults.memory_mb == 256
    function = settings.function("prod")
    assert (function.memory_mb, function.timeout_s) == (512, 3)


def test_sections_of_other_stages_change_nothing_but_are_checked(
    load: Load, problems: Callable[..., list[str]]
) -> None:
    text = "[deployer.prod]\nmemory_mb = 2048\n[deployer.prod:forest]\ntimeout_s = 9\n"
    settings = load(text)
    assert settings.defaults.memory_mb == 1024
    assert settings.per_function == {}
    assert settings.function_sections == (("deployer.prod:forest", "forest"),)
    assert problems(text + "memry_mb = 1\nlog_level = loud") == [
        "setup.cfg [deployer.prod:forest] memry_mb: unknown; did you mean memory_mb?",
        "setup.cfg [deployer.prod:forest] log_level: 'loud' must be debug, info, warning or error",
    ]


@pytest.mark.parametrize(
    "name, meant",
    [
        ("deplyer", "deployer"),
        ("Deployer", "deployer"),
        ("deployers", "deployer"),
        ("deployer.prod ", "deployer.prod"),
        ("deployer. prod", "deployer.prod"),
        ("deployer: forest", "deployer:forest"),
        ("deployr.prod:forest", "deployer.prod:forest"),
        ("DEPLOYER.prod", "deployer.prod"),
        ("deployer-prod", "deployer.prod"),
        ("deployer prod", "deployer.prod"),
        ("deployer_prod:forest", "deployer.prod:forest"),
    ],
)
def test_a_misspelt_section_is_refused_with_the_right_spelling(
    problems: Callable[..., list[str]], name: str, meant: str
) -> None:
    assert problems(f"[{name}]\nmemory_mb = 256") == [
        f"setup.cfg [{name}]: did you mean [{meant}]?"
    ]


@pytest.mark.parametrize(
    "name, problem",
    [
        ("deployer.", "a name is missing: [deployer.STAGE], [deployer:FUNCTION]"),
        ("deployer:", "a name is missing: [deployer.STAGE], [deployer:FUNCTION]"),
        ("deployer.:forest", "a name is missing: [deployer.STAGE], [deployer:FUNCTION]"),
        ("deployer:forest.prod", "did you mean [deployer.prod:forest]? The stage comes first"),
        (
            "deployer.PROD",
            "'PROD' is no stage: it must be 1 to 12 lower-case letters, digits and single dashes",
        ),
        (
            "deployer.big_forest",
            "'big_forest' is no stage: it must be 1 to 12 lower-case letters, digits and single "
            "dashes; a function's section is [deployer:big_forest]",
        ),
    ],
)
def test_a_section_that_names_no_stage_or_function_is_refused(
    problems: Callable[..., list[str]], name: str, problem: str
) -> None:
    assert problems(f"[{name}]\nmemory_mb = 256") == [f"setup.cfg [{name}]: {problem}"]


@pytest.mark.parametrize("name", ["DEFAULT", "default", "deployerish", "tool:deployer", "deploy"])
def test_sections_of_other_tools_are_left_alone(load: Load, name: str) -> None:
    assert load(f"[{name}]\nmemory_mb = 1\nx = %(y)s\n[deployer]\n").defaults.memory_mb == 1024


def test_a_stages_section_cannot_choose_stage_or_service(
    problems: Callable[..., list[str]],
) -> None:
    assert problems("[deployer.prod]\nstage = prod\nservice = shop\n") == [
        "setup.cfg [deployer.prod] stage: not in a stage's section: the stage decides which "
        "sections hold, so none of theirs can choose it",
        "setup.cfg [deployer.prod] service: not in a stage's section: all stages are stages of "
        "one service",
    ]


def test_what_all_functions_share_is_set_in_the_section_of_the_stage(
    problems: Callable[..., list[str]],
) -> None:
    (problem,) = problems("[deployer.prod:forest]\nregion = us-east-1\n")
    assert problem.startswith(
        "setup.cfg [deployer.prod:forest] region: it is the same for all functions: set it in "
        "[deployer.prod]; a function's own may be memory_mb, "
    )


def test_a_percent_sign_is_one(load: Load) -> None:
    settings = load("[deployer]\nenvironment = SHARE=100%(now)s %% %\n")
    assert settings.defaults.environment == {"SHARE": "100%(now)s %% %"}


def test_maps_of_all_places_are_joined_key_by_key(load: Load) -> None:
    settings = load(
        "[deployer]\nenvironment =\n  MODE=a\n  PLACE=all\n"
        "[deployer.prod]\nenvironment = MODE=b\n"
        "[deployer:forest]\nenvironment = TREES=9\n",
        {"DEPLOYER_ENVIRONMENT": "MODE=c\nMORE=x=y"},
        stage="prod",
    )
    assert settings.defaults.environment == {"MODE": "c", "PLACE": "all", "MORE": "x=y"}
    assert settings.function("forest").environment == {
        **settings.defaults.environment,
        "TREES": "9",
    }


def test_an_empty_map_takes_away_what_weaker_places_gave(load: Load) -> None:
    settings = load(
        "[deployer]\ntags = team=ml\nenvironment = MODE=a\n[deployer.prod]\ntags =\n"
        "[deployer:forest]\nenvironment =\n",
        stage="prod",
    )
    assert settings.own_tags == settings.function("forest").environment == {}
    assert settings.function("linear").environment == {"MODE": "a"}


@pytest.mark.parametrize(
    "text, tags",
    [
        ("team=ml", {"team": "ml"}),
        ("team=ml, cost-center=42", {"team": "ml", "cost-center": "42"}),
        ("\n  team = ml\n  # a comment\n  owner =\n", {"team": "ml", "owner": ""}),
        ("a:b/c=x=y z,", {"a:b/c": "x=y z"}),
        ("", {}),
        ("Key=" + "v" * 256, {"Key": "v" * 256}),
    ],
)
def test_tags_are_pairs_by_comma_or_line(load: Load, text: str, tags: dict[str, str]) -> None:
    assert load(f"[deployer]\ntags = {text}\n").own_tags == tags


@pytest.mark.parametrize(
    "text, problem",
    [
        ("team", "'team': a tag must be key=value, such as team=ml"),
        ("=ml", "'': the name of a tag must be 1 to 128 letters"),
        ("aws:team=ml", "aws:team: names that begin with aws: are AWS's"),
        ("AWS:team=ml", "AWS:team: names that begin with AWS: are AWS's"),
        ("deployer:tags=x", "deployer:tags: names that begin with deployer: are this tool's"),
        ("te am=ml", "'te am': the name of a tag must be"),
        ("Straße=ml", "'Straße': the name of a tag must be"),
        ('"team"=ml', "'\"team\"': the name of a tag must be"),
        ("team=ml@example.com", "team=ml@example.com: the value of a tag must be"),
        ("team=ü", "team=ü: the value of a tag must be"),
        ("t" * 129 + "=ml", "the name of a tag must be 1 to 128"),
        ("team=" + "v" * 257, "the value of a tag must be at most 256"),
        ("team=a, team=b", "team is there twice"),
        ("team=a, Team=b", "team and Team are one tag for IAM, which ignores case"),
        (", ".join(f"k{number}=v" for number in range(47)), "47 tags, but beside this tool's"),
        (
            ", ".join(f"{'k' * 20}{number}=v" for number in range(12)),
            "the names of all tags together have more than 256 characters",
        ),
    ],
)
def test_a_tag_that_a_service_would_refuse_is_refused_here(
    problems: Callable[..., list[str]], text: str, problem: str
) -> None:
    (line,) = problems(f"[deployer]\ntags = {text}\n")
    assert line.startswith("setup.cfg [deployer] tags: ") and problem in line


def test_tags_of_two_places_that_differ_in_case_alone_are_refused(
    problems: Callable[..., list[str]],
) -> None:
    text = "[deployer]\ntags = team=a\n[deployer.prod]\ntags = TEAM=b\n"
    assert problems(text, stage="prod") == [
        "setup.cfg [deployer.prod] tags: team and TEAM are one tag for IAM, which ignores case"
    ]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("MODE", "'MODE': a variable must be a line KEY=value"),
        ("hunter2hunter2hunter2hunter2", "'hunter2hunter2hunter...': a variable must be"),
        ("M=1", "'M': a name must be two or more letters"),
        ("1M=1", "'1M': a name must be two or more letters"),
        ("M-X=1", "'M-X': a name must be two or more letters"),
        ("MÄR=1", "'MÄR': a name must be two or more letters"),
        ("AWS_REGION=x", "AWS_REGION is Lambda's own, which sets it itself"),
        ("LAMBDA_TASK_ROOT=x", "LAMBDA_TASK_ROOT is Lambda's own"),
        ("BUCKET=x", "BUCKET is the handler's own, which this tool sets"),
        ("LOG_LEVEL=x", "LOG_LEVEL is the handler's own"),
        ("FAST_PATHS=off", "FAST_PATHS is set in the Dockerfile"),
        ("MODE=1\n  MODE=2", "MODE is there twice"),
    ],
)
def test_a_variable_that_lambda_would_refuse_is_refused_here_without_its_value(
    problems: Callable[..., list[str]], text: str, problem: str
) -> None:
    (line,) = problems(f"[deployer]\nenvironment = {text}\n")
    assert line.startswith("setup.cfg [deployer] environment: ") and problem in line


def test_values_of_variables_are_taken_as_they_stand(load: Load) -> None:
    text = '[deployer]\nenvironment =\n  QUOTED="a b"\n  EMPTY=\n  PAIRS = a=b, c\n  WORD=ü\n'
    assert load(text).defaults.environment == {
        "QUOTED": '"a b"',
        "EMPTY": "",
        "PAIRS": "a=b, c",
        "WORD": "ü",
    }


@pytest.mark.parametrize("name", ["deployer", "deployer.prod", "deployer:forest"])
def test_a_folder_with_one_of_the_sections_is_a_project(tmp_path: Path, name: str) -> None:
    (tmp_path / "setup.cfg").write_text(f"[{name}]\n")
    refuse_foreign(tmp_path)


@pytest.mark.parametrize(
    ("stage", "meant"),
    [("prdo", "prod"), ("pord", "prod"), ("prod", None), ("dev", None), ("tset", "test")],
)
def test_a_stage_that_is_spelt_like_one_with_a_section_is_known(
    tmp_path: Path, stage: str, meant: str | None
) -> None:
    text = "[deployer]\nrate_limit = 5\n[deployer.prod]\nrate_limit = 9\n[deployer.test:a]\n"
    (tmp_path / "setup.cfg").write_text(text)
    assert read_settings(tmp_path, {"stage": stage}, {}).places.stage_meant == meant
