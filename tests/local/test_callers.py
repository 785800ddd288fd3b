"""Who may call a service on the local AWS, by the command line, from `up` to `down`."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from deployer.local import process
from tests.support.accounts import connect
from tests.support.command_line import deployer
from tests.support.processes import Ran

# Its test shares a server, so one worker runs them all.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("local callers")]

KEYED = {"DEPLOYER_API": "rest", "DEPLOYER_AUTH": "key", "DEPLOYER_KEY_QUOTA": "100 per week"}
FOREIGN = "key-of-somebody-else-of-40-characters-xx"
SIGNED = {"DEPLOYER_AUTH": "iam", "DEPLOYER_CORS_ORIGINS": "https://a.example"}
MODELS = ("linear_regression", "random_forest", "support_vector")


def copied(folder: Path, ran: Ran, **environment: str) -> list[str]:
    """Run the curl command that `up` showed in a shell, and return the models that answered."""
    (command,) = re.findall("^try it.*: (curl .*)$", ran.err, re.MULTILINE)
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    answer = json.loads(done.stdout)
    results = answer["results"] if "results" in answer else json.loads(answer["output"])
    return [result["model"] for result in results if "predictions" in result]


def add_foreign_key(live: Path) -> None:
    """Put a key without our tags into the usage plan, as somebody may do in the console."""
    server = process.find(live)
    assert server is not None
    aws = connect(server)
    (plan,) = aws.call("apigateway", "get_usage_plans")["items"]
    key = aws.call("apigateway", "create_api_key", name="mine", enabled=True, value=FOREIGN)
    parameters = {"usagePlanId": plan["id"], "keyId": key["id"], "keyType": "API_KEY"}
    aws.call("apigateway", "create_usage_plan_key", **parameters)


def test_no_output_shows_the_value_of_a_key_but_that_of_create(live: Path) -> None:
    """Key-6; and then the service asks for signatures in place of keys."""
    shown: list[Ran] = []

    def keyed(*arguments: str, key: str = "", code: int = 0) -> Ran:
        environment = {**KEYED, "DEPLOYER_API_KEY": key}
        ran = deployer(live, *arguments, "--local", environment=environment, code=code)
        shown.append(ran)
        return ran

    told = keyed("up")
    assert "a request without an API key is refused" in told.err and "public" not in told.err
    assert "try it, with a key of " in told.err
    assert "next, with DEPLOYER_API_KEY set: " in told.err
    begin, _, _ = told.err.partition("\n  + create")
    _, _, applied = told.err.partition("\nPlan: ")
    progress = [*begin.splitlines(), *applied.partition("try it")[0].splitlines()[1:]]
    assert all(re.match(r"\d\d:\d\d:\d\d [a-z]", line) for line in progress), told.err
    assert "\x1b" not in told.err and told.out.count("\n") == 1
    assert "neither DEPLOYER_API_KEY nor --key is given" in keyed("invoke", "--sample", code=1).err
    assert "there are no keys" in keyed("keys").err

    made = deployer(live, "keys", "create", "alice", "-v", "--local", environment=KEYED)
    value = made.out.strip()
    assert len(value) >= 20 and made.out == f"{value}\n" and value not in made.err
    assert "apigateway create_usage_plan_key" in made.err and "the only time" in made.err
    second = deployer(live, "keys", "create", "bob", "--json", "--local", environment=KEYED).json
    assert second["name"] == "bob"
    secrets = (value, second["key"], FOREIGN)

    add_foreign_key(live)
    *listed, last = keyed("keys", "list", "-v").out.splitlines()
    assert last.startswith("mine  ")
    assert last.endswith("works, not ours: `up` takes it out of the usage plan")
    assert [(line.split()[0], line.split()[-1]) for line in listed] == [
        ("alice", "works"),
        ("bob", "works"),
    ]
    documents = keyed("keys", "--json").json["keys"]
    assert [(key["state"], key["ours"]) for key in documents] == [
        ("works", True),
        ("works", True),
        ("works", False),
    ]
    assert "there is a key alice already" in keyed("keys", "create", "alice", code=1).err
    assert len(keyed("invoke", "--sample", "--json", "-v", key=value).json) == 3
    assert len(keyed("invoke", "--sample", "--json", "--key", value).json) == 3
    assert "HTTP 403" in keyed("invoke", "--sample", "--key", f"{value}x", code=1).err
    assert copied(live, told, DEPLOYER_API_KEY=value) == [*MODELS]
    planned = keyed("plan", "--exit-code", "-v", key=value, code=3)
    assert "foreign_keys[mine]: (changed outside)" in planned.out

    assert len(keyed("invoke", "--sample", "--json", key=FOREIGN).json) == 3
    advice = "to take it out again: "
    assert advice in keyed("keys", "revoke", "mine", "--yes", code=1).err
    keyed("up", "-v")
    assert "HTTP 403" in keyed("invoke", "--sample", key=FOREIGN, code=1).err

    assert "--yes" in keyed("keys", "revoke", "bob", code=1).err  # nobody can be asked
    assert keyed("keys", "revoke", "bob", "--yes").out == "revoked  bob\n"
    assert "HTTP 403" in keyed("invoke", "--sample", code=1, key=second["key"]).err
    keyed("keys", "create", code=2)
    keyed("keys", "list", "alice", code=2)

    signed = deployer(live, "up", "--yes", "-v", "--local", environment=SIGNED)
    shown.append(signed)
    assert "delete  usage-plan" in signed.err
    assert "one that this caller signs is answered" in signed.err
    exported = deployer(live, "env", "--local", "--json", environment=SIGNED).json
    assert "try it, after eval" in signed.err and "deployer env --local" in signed.err
    assert copied(live, signed, **exported) == [*MODELS]
    sample = deployer(live, "invoke", "--sample", "--json", "--local", environment=SIGNED)
    assert len(sample.json) == 3
    refused = deployer(live, "invoke", "--sample", "--local", code=1)  # unsigned: auth = none
    assert "HTTP 403: Forbidden" in refused.err
    assert "no usage plan" in keyed("keys", "create", "carol", code=1).err
    shown.append(deployer(live, "down", "--yes", "-v", "--local", environment=SIGNED))

    texts = [f"{ran.out}{ran.err}" for ran in shown]
    texts += [path.read_text(errors="replace") for path in live.rglob("*.log")]
    assert not any(secret in text for secret in secrets for text in texts)
