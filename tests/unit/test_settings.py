"""Settings: where they may come from, how they are refused, and the names that follow from them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import botocore.session
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.errors import ConfigError, NoProject
from deployer.project.parsers import RETENTION_DAYS, train_commands
from deployer.project.settings import (
    AUTHS,
    SETTINGS,
    FunctionSettings,
    Settings,
    load_settings,
    settings_table,
)
from deployer.project.workflow import placeholders

ROOT = Path(__file__).resolve().parent.parent.parent
ACCOUNT = "123456789012"


def every_region():
    session = botocore.session.get_session()
    return [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("lambda", partition)
    ]


@pytest.fixture
def load(tmp_path):
    """Load settings from the text of a setup.cfg, an environment and options."""

    def load(text="", environment=None, **options):
        (tmp_path / "setup.cfg").write_text(text, encoding="utf-8")
        return load_settings(tmp_path, options, environment or {})

    return load


@pytest.fixture
def problems(load):
    """Load what must be refused, and return the problems."""

    def problems(*args, **options):
        with pytest.raises(ConfigError) as caught:
            load(*args, **options)
        return list(caught.value.problems)

    return problems


def test_without_anything_the_defaults_hold(load, tmp_path):
    assert load() == Settings(project=tmp_path)


def test_the_defaults_are_themselves_legal():
    for name, default, _ in settings_table():
        if name != "region":
            SETTINGS[name].parse(default)


def test_the_table_lists_every_setting_with_its_default():
    table = {name: default for name, default, _ in settings_table()}
    assert list(table) == list(SETTINGS)
    expected = {
        "memory_mb": "1024",
        "tracing": "no",
        "cors_origins": "*",
        "region": "",
        "service": "inference",
    }
    assert {name: table[name] for name in expected} == expected


def test_every_setting_can_be_set_in_the_file(load):
    settings = load(
        """[deployer]
        service = housing
        stage = prod
        region = eu-central-1
        memory_mb = 512
        timeout_s = 5
        ephemeral_storage_mb = 1024
        provisioned_concurrency = 2
        reserved_concurrency = 4
        architecture = arm64
        log_retention_days = never
        log_inputs = yes
        workflow_log = all
        tracing = yes
        api = rest
        auth = key
        jwt_issuer = https://login.example.com/
        jwt_audience = housing prices
        jwt_scopes = predict
        key_rate_limit = 5
        key_burst_limit = 6
        key_quota = 1000 per day
        cors_origins = https://a.example http://localhost:8080
        cors_headers = Content-Type x-api-key
        cors_exposed_headers = x-amzn-requestid
        rate_limit = 1
        burst_limit = 2
        permissions_boundary = arn:aws:iam::123456789012:policy/bounds
        """.replace("        ", "")
    )
    assert settings == Settings(
        project=settings.project,
        service="housing",
        stage="prod",
        region="eu-central-1",
        architecture="arm64",
        log_retention_days=None,
        log_inputs=True,
        workflow_log="all",
        tracing=True,
        api="rest",
        auth="key",
        jwt_issuer="https://login.example.com/",
        jwt_audience=("housing", "prices"),
        jwt_scopes=("predict",),
        key_rate_limit=5,
        key_burst_limit=6,
        key_quota="1000 per day",
        cors_origins=("https://a.example", "http://localhost:8080"),
        cors_headers=("content-type", "x-api-key"),
        cors_exposed_headers=("x-amzn-requestid",),
        rate_limit=1,
        burst_limit=2,
        permissions_boundary="arn:aws:iam::123456789012:policy/bounds",
        defaults=FunctionSettings(
            memory_mb=512,
            timeout_s=5,
            ephemeral_storage_mb=1024,
            provisioned_concurrency=2,
            reserved_concurrency=4,
        ),
    )


@pytest.mark.parametrize(
    "text, environment, options, stage",
    [
        ("", {}, {}, "dev"),
        ("[deployer]\nstage = file", {}, {}, "file"),
        ("[deployer]\nstage = file", {"DEPLOYER_STAGE": "env"}, {}, "env"),
        ("[deployer]\nstage = file", {"DEPLOYER_STAGE": "env"}, {"stage": "option"}, "option"),
        ("[deployer]\nstage = file", {"DEPLOYER_STAGE": "env"}, {"stage": None}, "env"),
        ("[deployer]\nstage = file", {}, {"stage": "option"}, "option"),
        ("", {"STAGE": "env", "XDEPLOYER_STAGE": "env"}, {}, "dev"),
    ],
)
def test_an_option_beats_the_environment_and_that_the_file(load, text, environment, options, stage):
    assert load(text, environment, **options).stage == stage


def test_a_bad_value_that_something_stronger_replaces_does_not_matter(load):
    assert (
        load("[deployer]\nmemory_mb = lots", {"DEPLOYER_MEMORY_MB": "256"}).defaults.memory_mb
        == 256
    )


def test_a_functions_own_section_changes_that_function_alone(load):
    settings = load(
        "[deployer]\nmemory_mb = 512\ntimeout_s = 5\n[deployer:forest]\nmemory_mb = 2048"
    )
    assert settings.function("forest") == FunctionSettings(memory_mb=2048, timeout_s=5)
    assert (
        settings.function("linear")
        == settings.defaults
        == FunctionSettings(memory_mb=512, timeout_s=5)
    )


def test_a_function_may_go_without_the_concurrency_that_all_others_have(load):
    """Lambda-12: 0 is a value, and nothing is none."""
    settings = load(
        "[deployer]\nprovisioned_concurrency = 2\nreserved_concurrency = 8\n"
        "[deployer:forest]\nprovisioned_concurrency =\nreserved_concurrency = 0\n"
    )
    assert settings.function("linear") == FunctionSettings(
        provisioned_concurrency=2, reserved_concurrency=8
    )
    assert settings.function("forest") == FunctionSettings(reserved_concurrency=0)


def test_a_functions_section_may_hold_only_what_may_differ_between_functions(problems):
    (problem,) = problems("[deployer:forest]\nstage = prod")
    assert problem == (
        "setup.cfg [deployer:forest] stage: it is the same for all functions: set it in "
        "[deployer]; a function's own may be memory_mb, timeout_s, ephemeral_storage_mb, "
        "provisioned_concurrency, reserved_concurrency, environment, log_level"
    )


def test_other_tools_sections_are_left_alone(load):
    assert load("[tool:pytest]\nstage = x\n[deployerish]\nx = %(y)s").stage == "dev"


@pytest.mark.parametrize(
    "name, text",
    [
        ("service", "a"),
        ("service", "a" * 25),
        ("service", "1abc"),
        ("service", "Inference"),
        ("service", "a--b"),
        ("service", "ab-"),
        ("service", "a_b"),
        ("stage", ""),
        ("stage", "a" * 13),
        ("stage", "-a"),
        ("stage", "a\nb"),
        ("region", "europe"),
        ("region", "eu-central-1a"),
        ("region", ""),
        ("memory_mb", "127"),
        ("memory_mb", "10241"),
        ("memory_mb", "1e3"),
        ("memory_mb", "-128"),
        ("memory_mb", "\u0661\u0662\u0668"),
        ("memory_mb", ""),
        ("timeout_s", "0"),
        ("timeout_s", "901"),
        ("timeout_s", "2.5"),
        ("ephemeral_storage_mb", "511"),
        ("ephemeral_storage_mb", "10241"),
        ("provisioned_concurrency", "0"),
        ("provisioned_concurrency", "two"),
        ("reserved_concurrency", "-1"),
        ("reserved_concurrency", "1000000"),
        ("architecture", "amd64"),
        ("log_retention_days", "2"),
        ("log_retention_days", "0"),
        ("log_retention_days", "None"),
        ("tracing", "perhaps"),
        ("log_inputs", "maybe"),
        ("workflow_log", "ALL"),
        ("cors_origins", "example.com"),
        ("cors_origins", "https://a.example/path"),
        ("cors_origins", "* ftp://x"),
        ("cors_origins", "https://a'b.example"),
        ("cors_origins", "https://$a.example"),
        ("cors_headers", "x-a: b"),
        ("cors_exposed_headers", "x'"),
        ("auth", "jwtt"),
        ("auth", ""),
        ("jwt_issuer", "login.example.com"),
        ("jwt_issuer", "http://login.example.com/"),
        ("jwt_issuer", "https://me:secret@login.example.com/"),
        ("jwt_issuer", "https://login.example.com/?a"),
        ("jwt_scopes", "a" * 65),
        ("jwt_scopes", " ".join(map(str, range(11)))),
        ("jwt_scopes", 'say "so"'),
        ("key_rate_limit", "0"),
        ("key_burst_limit", "5001"),
        ("key_quota", "1000"),
        ("key_quota", "0 per day"),
        ("key_quota", "1000 per hour"),
        ("key_quota", "2147483648 per month"),
        ("api", "soap"),
        ("api", ""),
        ("rate_limit", "0"),
        ("rate_limit", "10001"),
        ("burst_limit", "5001"),
        ("permissions_boundary", "bounds"),
        ("permissions_boundary", "arn:aws:iam::1:policy/x"),
        ("permissions_boundary", "arn:aws:iam::123456789012:role/x"),
    ],
)
def test_a_bad_value_is_refused_with_its_place_and_itself(problems, name, text):
    (problem,) = problems("", {f"DEPLOYER_{name.upper()}": text})
    assert problem.startswith(f"environment DEPLOYER_{name.upper()}: {text!r} must be ")


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("service", "ab", "ab"),
        ("service", "a" * 24, "a" * 24),
        ("stage", "1", "1"),
        ("log_retention_days", "3653", 3653),
        ("tracing", "ON", True),
        ("tracing", "0", False),
        ("cors_origins", "", ()),
        ("jwt_issuer", "", None),
        ("jwt_issuer", "http://127.0.0.1:8080/issuer", "http://127.0.0.1:8080/issuer"),
        ("jwt_audience", "a b a", ("a", "b")),
        ("key_quota", "2147483647 per month", "2147483647 per month"),
        ("permissions_boundary", "", None),
        (
            "permissions_boundary",
            "arn:aws-cn:iam::aws:policy/path/x",
            "arn:aws-cn:iam::aws:policy/path/x",
        ),
        ("region", "us-gov-west-1", "us-gov-west-1"),
        ("rate_limit", " 10000 ", 10000),
    ],
)
def test_a_good_value_at_the_edge_is_taken(load, name, text, value):
    assert getattr(load("", {f"DEPLOYER_{name.upper()}": text}), name) == value


@pytest.mark.parametrize("name, low, high", [("memory_mb", 128, 10240), ("timeout_s", 1, 900)])
def test_both_limits_are_themselves_legal(load, name, low, high):
    for value in (low, high):
        assert getattr(load("", {f"DEPLOYER_{name.upper()}": str(value)}).defaults, name) == value


@pytest.mark.parametrize("days", RETENTION_DAYS)
def test_every_retention_that_logs_accepts_can_be_set(load, days):
    assert load(f"[deployer]\nlog_retention_days = {days}").log_retention_days == days


def test_the_retentions_are_those_that_logs_documents():
    """Logs-2; its model does not list them, but the documentation in it does."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("logs")
    text = model.shape_for("Days").documentation.partition("Possible values are:")[2]
    documented = re.findall(r"\d+", text.partition(".")[0])
    assert [int(days) for days in documented] == list(RETENTION_DAYS)


def test_every_region_that_botocore_knows_can_be_set(load):
    for region in every_region():
        assert load(region=region).region == region


def test_all_problems_are_told_at_once_each_with_its_place(problems):
    text = (
        "[deployer]\nmemory_mb = 64\nstgae = x\nstage = UPPER\n[deployer:forest]\ntimeout_s = "
        "soon\ncolour = red"
    )
    assert problems(
        text, {"DEPLOYER_TRACING": "perhaps", "DEPLOYER_SERVIC": "x"}, region="moon"
    ) == [
        "setup.cfg [deployer] stgae: unknown; did you mean stage?",
        "setup.cfg [deployer:forest] colour: unknown; known are memory_mb, timeout_s, "
        "ephemeral_storage_mb, provisioned_concurrency, reserved_concurrency, environment, "
        "log_level",
        "environment DEPLOYER_SERVIC: unknown; did you mean service?",
        "setup.cfg [deployer] stage: 'UPPER' must be 1 to 12 lower-case letters, digits and "
        "single dashes",
        "--region: 'moon' must be an AWS region such as eu-central-1",
        "environment DEPLOYER_TRACING: 'perhaps' must be yes or no",
        "setup.cfg [deployer] memory_mb: '64' must be a whole number from 128 to 10240",
        "setup.cfg [deployer:forest] timeout_s: 'soon' must be a whole number from 1 to 900",
    ]


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("auth = jwt\napi = rest", "'jwt' does not work with api = rest"),
        ("auth = key", "'key' does not work with api = http"),
    ],
)
def test_an_auth_that_the_kind_of_api_lacks_is_refused_with_those_that_work(problems, text, wrong):
    issuer = "jwt_issuer = https://a.example\njwt_audience = x"
    (problem,) = problems(f"[deployer]\n{issuer}\n{text}")
    assert problem == (
        f"setup.cfg [deployer] auth: {wrong}; these work: api = http with auth = none, iam, jwt; "
        "api = rest with auth = none, iam, key"
    )


@pytest.mark.parametrize("auth, api", [(auth, api) for auth in AUTHS for api in AUTHS[auth]])
def test_every_other_combination_is_taken(load, auth, api):
    issuer = "jwt_issuer = https://a.example\njwt_audience = x"
    settings = load(f"[deployer]\n{issuer}\napi = {api}", auth=auth)
    assert (settings.auth, settings.api) == (auth, api)


def test_tokens_without_issuer_or_audience_are_refused(problems):
    assert problems("", {"DEPLOYER_AUTH": "jwt"}) == [
        "environment DEPLOYER_AUTH: 'jwt' needs jwt_issuer, such as "
        "jwt_issuer = https://login.example.com/",
        "environment DEPLOYER_AUTH: 'jwt' needs jwt_audience, such as jwt_audience = my-service",
    ]


def test_what_invoke_reads_from_the_environment_is_no_setting_and_has_no_place_in_a_file(
    load, problems
):
    environment = {"DEPLOYER_API_KEY": "a secret", "DEPLOYER_TOKEN": "another"}
    assert load("", environment) == load("")
    (problem,) = problems("[deployer]\napi_key = a secret")
    assert problem.startswith("setup.cfg [deployer] api_key: unknown")
    assert "a secret" not in problem


def test_an_option_of_two_words_is_named_as_it_is_typed(problems):
    (problem,) = problems(memory_mb="1")
    assert problem.startswith("--memory-mb: '1' ")


@pytest.mark.parametrize(
    "text, place",
    [
        ("memory_mb = 1", "setup.cfg: File contains no section headers"),
        ("[deployer]\nstage = a\njust words", "[line 3]: 'just words"),
        ("[deployer]\n[deployer]", "[line 2]: section 'deployer' already exists"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_one_problem_on_one_line(problems, text, place):
    (problem,) = problems(text)
    assert place in problem
    assert "\n" not in problem


def test_a_folder_without_setup_cfg_is_no_project(tmp_path):
    with pytest.raises(
        NoProject, match=r"is no project: it has no setup\.cfg\n.*\n.* deployer init$"
    ):
        load_settings(tmp_path, {}, {})


def test_a_file_that_is_no_text_is_a_problem(tmp_path):
    (tmp_path / "setup.cfg").write_bytes(b"[deployer]\nstage = \xff")
    with pytest.raises(
        ConfigError, match="^setup.cfg line 2: byte 0xff is no UTF-8: save it as UTF-8"
    ):
        load_settings(tmp_path, {}, {})


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path, service="housing", stage="prod").located(
        account=ACCOUNT, partition="aws", region="eu-central-1"
    )


def test_every_name_follows_from_service_stage_account_and_region(settings):
    assert settings.prefix == settings.repository == "housing-prod"
    assert settings.bucket == "housing-prod-123456789012-eu-central-1"
    assert settings.repository_uri == "123456789012.dkr.ecr.eu-central-1.amazonaws.com/housing-prod"
    assert settings.function_name("random_forest") == "housing-prod-random-forest"
    assert settings.role_name("api") == "housing-prod-eu-central-1-api"
    assert settings.log_group("random_forest") == "/aws/lambda/housing-prod-random-forest"
    assert settings.log_group("workflow") == "/aws/vendedlogs/states/housing-prod"
    assert settings.log_group("api") == "/aws/vendedlogs/apigateway/housing-prod"


def test_every_arn_follows_from_them(settings):
    here = "eu-central-1:123456789012"
    assert settings.bucket_arn == "arn:aws:s3:::housing-prod-123456789012-eu-central-1"
    assert (
        settings.function_arn("random_forest")
        == f"arn:aws:lambda:{here}:function:housing-prod-random-forest"
    )
    assert (
        settings.role_arn("api") == "arn:aws:iam::123456789012:role/housing-prod-eu-central-1-api"
    )
    assert (
        settings.log_group_arn("api")
        == f"arn:aws:logs:{here}:log-group:/aws/vendedlogs/apigateway/housing-prod"
    )
    assert settings.workflow_arn == f"arn:aws:states:{here}:stateMachine:housing-prod"


def test_china_has_its_own_partition_and_registry(tmp_path):
    settings = Settings(tmp_path).located(
        account=ACCOUNT,
        partition="aws-cn",
        region="cn-north-1",
        dns_suffix="amazonaws.com.cn",
    )
    assert (
        settings.repository_uri == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/inference-dev"
    )
    arns = [
        settings.bucket_arn,
        settings.workflow_arn,
        *(make("api") for make in (settings.role_arn, settings.function_arn)),
    ]
    assert all(arn.startswith("arn:aws-cn:") for arn in [*arns, settings.log_group_arn("api")])


def test_the_tags_tell_one_stage_of_one_service_from_all_others(tmp_path):
    tags = Settings(tmp_path, service="housing", stage="prod").tags
    assert tags["deployer:service"] == "housing"
    assert tags["deployer:stage"] == "prod"
    assert tags.keys() == {"deployer:service", "deployer:stage", "deployer:managed-by"}


def test_a_bucket_name_that_does_not_fit_is_refused_before_anything_is_made(tmp_path):
    settings = Settings(tmp_path, service="a" * 24, stage="b" * 12)
    assert (
        len(settings.located(account=ACCOUNT, partition="aws", region="eu-central-1").bucket) == 63
    )
    with pytest.raises(ConfigError, match="has more than 63 characters\nshorten service or stage"):
        settings.located(account=ACCOUNT, partition="aws", region="ap-southeast-1")


SHIPPED = sorted(
    {
        name
        for _, name in placeholders(json.loads((ROOT / "state_machine.json").read_text())["States"])
    }
)
LONGEST_REGION = max(every_region(), key=len)
services = st.from_regex(r"[a-z](-?[a-z0-9]){1,23}", fullmatch=True).map(
    lambda name: name[:24].rstrip("-")
)
stages = st.from_regex(r"[a-z0-9](-?[a-z0-9]){0,11}", fullmatch=True).map(
    lambda name: name[:12].rstrip("-")
)


@hypothesis.example("a" * 24, "b" * 12)
@hypothesis.example("a0", "0")
@given(services.filter(lambda name: len(name) > 1), stages)
def test_names_made_of_any_legal_service_and_stage_are_legal(service, stage):
    """The limits of PRE-3, S3-1, Iam-11, Lambda-28, ECR-10 and Step Functions' 80 characters."""
    assert SETTINGS["service"].parse(service) == service
    assert SETTINGS["stage"].parse(stage) == stage
    settings = Settings(ROOT, service, stage, region=LONGEST_REGION, account=ACCOUNT)
    assert all(
        re.fullmatch(r"[\w+=,.@-]{1,64}", settings.role_name(user))
        for user in ("functions", "workflow", "api")
    )
    assert all(
        re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", settings.function_name(name)) for name in SHIPPED
    )
    assert re.fullmatch(r"(?=.{2,256}$)[a-z][a-z0-9]*([._-][a-z0-9]+)*", settings.repository)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,80}", settings.prefix)
    assert all(
        re.fullmatch(r"[\w./#-]{1,512}", settings.log_group(user))
        for user in (*SHIPPED, "workflow", "api")
    )


@hypothesis.example("a" * 24, "b" * 12)
@given(services.filter(lambda name: len(name) > 1), stages)
def test_a_bucket_name_is_legal_or_refused_and_only_length_refuses_it(service, stage):
    settings = Settings(ROOT, service, stage)
    room = 63 - len(f"--{ACCOUNT}-{LONGEST_REGION}")
    try:
        bucket = settings.located(account=ACCOUNT, partition="aws", region=LONGEST_REGION).bucket
    except ConfigError:
        assert len(service + stage) > room
    else:
        assert len(service + stage) <= room
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket)


def test_there_are_shipped_models_to_check():
    assert len(SHIPPED) >= 3


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("python train.py --depth 3", [["python", "train.py", "--depth", "3"]]),
        ("a && b c", [["a"], ["b", "c"]]),
        ("a&&b", [["a"], ["b"]]),
        ("pip install 'numpy>=2' \"x;y\"", [["pip", "install", "numpy>=2", "x;y"]]),
        ("a '$5' ~/b *.csv #1", [["a", "$5", "~/b", "*.csv", "#1"]]),
    ],
)
def test_the_training_is_commands_joined_by_and(text: str, commands: list[list[str]]) -> None:
    assert train_commands(text) == commands


@pytest.mark.parametrize(
    ("text", "character"),
    [
        ("rm -rf old; python train.py", ";"),
        ("python train.py > log.txt", ">"),
        ("python train.py | tee log", "|"),
        ("a || b", "||"),
        ("a & b", "&"),
        ("(a)", "("),
        ("python train.py $HOME", "$H"),
        ('a "$(date)"', "$"),
        ("a `date`", "`d"),
    ],
)
def test_what_only_a_shell_understands_is_refused(text: str, character: str) -> None:
    """It would be an argument: `rm -rf old; python train.py` would delete train.py."""
    said = f"has {re.escape(character)}, which only a shell understands; && joins commands"
    with pytest.raises(ValueError, match=said):
        train_commands(text)
