"""Members that AWS adds to an answer, omits or writes in another way never show as a difference.

Every answer about a deployed service is rewritten at random into another of AWS's own shapes
(Lambda-25, Iam-4, Iam-5, ECR-5, Sfn-14, Api-18, Api-34).
"""

from __future__ import annotations

import json
import random
import re
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape, unescape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.project.settings import FunctionSettings
from tests.support.deployments import Service
from tests.support.thinning import WHOLE, thinned
from tests.support.wire import Answer, Call, Forward


class Reshaped:
    """Rewrites answers into AWS's other shapes; `rewritten` names their operations."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.rewritten: set[str] = set()

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        rewrite = getattr(self, f"_{call.operation}", None)
        if rewrite is None:
            return None
        answer = forward(call)
        if not answer.succeeded:
            return answer
        self.rewritten.add(call.operation)
        return rewrite(answer)

    def maybe(self) -> bool:
        return self.chance.random() < 0.5

    # Policies: Iam-4, Iam-5

    def _policy(self, document: dict[str, Any]) -> dict[str, Any]:
        statements = [self._statement(each) for each in document["Statement"]]
        self.chance.shuffle(statements)
        one = len(statements) == 1 and self.maybe()
        return {**document, "Statement": statements[0] if one else statements}

    def _statement(self, statement: dict[str, Any]) -> dict[str, Any]:
        names = list(statement)
        self.chance.shuffle(names)
        return {name: self._part(name, statement[name]) for name in names}

    def _part(self, name: str, value: Any) -> Any:
        if name in ("Action", "Resource"):
            return self._values(value)
        if name == "Principal" and isinstance(value, dict):
            return {kind: self._values(names) for kind, names in value.items()}
        if name == "Condition":
            return {
                operator: {
                    key: self._boolean(self._values(values)) for key, values in tests.items()
                }
                for operator, tests in value.items()
            }
        return value

    def _values(self, value: Any) -> Any:
        values = list(value) if isinstance(value, list) else [value]
        self.chance.shuffle(values)
        return values[0] if len(values) == 1 and self.maybe() else values

    def _boolean(self, value: Any) -> Any:
        return (
            {"true": True, "false": False}.get(value, value)
            if isinstance(value, str) and self.maybe()
            else value
        )

    def _spelled(self, document: Any) -> str:
        return json.dumps(document, indent=self.chance.choice([None, 2]), sort_keys=self.maybe())

    def _in_xml(self, answer: Answer, tag: str) -> Answer:
        def rewrite(match: re.Match[str]) -> str:
            text = unescape(match[2])
            document = self._policy(json.loads(unquote(text)))
            return match[1] + escape(quote(self._spelled(document))) + match[3]

        body = re.sub(rf"(<{tag}>)(.*?)(</{tag}>)", rewrite, answer.body.decode(), flags=re.DOTALL)
        return Answer(answer.status, _without_length(answer), body.encode())

    def _GetRole(self, answer: Answer) -> Answer:
        return self._in_xml(answer, "AssumeRolePolicyDocument")

    def _GetRolePolicy(self, answer: Answer) -> Answer:
        return self._in_xml(answer, "PolicyDocument")

    def _GetBucketPolicy(self, answer: Answer) -> Answer:
        return Answer(
            200, _without_length(answer), self._spelled(self._policy(answer.json)).encode()
        )

    def _GetRepositoryPolicy(self, answer: Answer) -> Answer:
        document = self._policy(json.loads(answer.json["policyText"]))
        return answer.with_json({**answer.json, "policyText": self._spelled(document)})

    def _GetLifecyclePolicy(self, answer: Answer) -> Answer:
        document = json.loads(answer.json["lifecyclePolicyText"])
        for rule in document["rules"]:
            if self.maybe():
                rule["selection"]["tagPrefixList"] = []
        self.chance.shuffle(document["rules"])
        return answer.with_json({**answer.json, "lifecyclePolicyText": self._spelled(document)})

    # Lambda-25, Lambda-26, Lambda-27

    def _configuration(self, found: dict[str, Any]) -> dict[str, Any]:
        defaults: dict[str, Any] = {
            "EphemeralStorage": {"Size": 512},
            "TracingConfig": {"Mode": "PassThrough"},
            "Architectures": ["x86_64"],
            "Description": "",
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/x"},
            "ConfigSha256": str(self.chance.random()),
            "LastModified": str(self.chance.random()),
            "RevisionId": str(self.chance.random()),
        }
        for name, value in defaults.items():
            if self.maybe():
                found.setdefault(name, value)
            elif found.get(name) == value:
                del found[name]
        if self.maybe() and not found.get("Environment", {}).get("Variables"):
            found.pop("Environment", None)
        if self.maybe():
            found["State"] = "Inactive"  # Lambda-5: idle, and healthy
        if self.maybe():
            found.pop("LastUpdateStatus", None)
        return found

    def _GetFunction(self, answer: Answer) -> Answer:
        found = answer.json
        found["Configuration"] = self._configuration(found["Configuration"])
        if self.maybe():
            found.setdefault("Concurrency", {})
        found.setdefault("Tags", {})["aws:cloudformation:stack-name"] = "theirs"  # GEN-12
        return answer.with_json(found)

    # Pc-7: what is allocated fluctuates

    def _ListProvisionedConcurrencyConfigs(self, answer: Answer) -> Answer:
        found = answer.json["ProvisionedConcurrencyConfigs"]
        for each in found:
            for name in ("Allocated", "Available"):
                each[f"{name}ProvisionedConcurrentExecutions"] = self.chance.randrange(4)
            each["LastModified"] = str(self.chance.random())
        return answer.with_json({"ProvisionedConcurrencyConfigs": found})

    def _ListVersionsByFunction(self, answer: Answer) -> Answer:
        return answer.with_json(
            {
                **answer.json,
                "Versions": [self._configuration(each) for each in answer.json["Versions"]],
            }
        )

    # Sfn-13, Sfn-14

    def _DescribeStateMachine(self, answer: Answer) -> Answer:
        found = answer.json
        found["definition"] = self._spelled(json.loads(found["definition"]))
        if self.maybe():
            found["revisionId"] = str(self.chance.random())
        if self.maybe() and found.get("tracingConfiguration") == {"enabled": False}:
            del found["tracingConfiguration"]
        found.setdefault("encryptionConfiguration", {"type": "AWS_OWNED_KEY"})
        return answer.with_json(found)

    # Api-18, Api-25, Api-34

    def _GetApis(self, answer: Answer) -> Answer:
        found = answer.json
        for api in found["items"]:
            cors = api.get("corsConfiguration")
            for name in ("allowHeaders", "allowMethods", "allowOrigins"):
                if cors and name in cors:
                    cors[name] = [
                        self.chance.choice([each.lower(), each.upper()]) for each in cors[name]
                    ]
                    self.chance.shuffle(cors[name])
            api |= {
                "apiKeySelectionExpression": "$request.header.x-api-key",
                "ipAddressType": "ipv4",
                "warnings": [],
            }
        return answer.with_json(found)

    def _GetIntegrations(self, answer: Answer) -> Answer:
        found = answer.json
        for integration in found["items"]:
            integration["connectionType"] = "INTERNET"
            if self.maybe():
                integration["integrationMethod"] = "POST"
        return answer.with_json(found)

    def _GetRoutes(self, answer: Answer) -> Answer:
        found = answer.json
        for route in found["items"]:
            if self.maybe():
                route.pop("authorizationType", None)
            route["apiKeyRequired"] = False
        return answer.with_json(found)

    def _GetStage(self, answer: Answer) -> Answer:
        deployment = {
            "deploymentId": str(self.chance.random()),
            "lastUpdatedDate": "2026-01-01T00:00:00Z",
        }
        return answer.with_json({**answer.json, **deployment})

    # Logs-4: older answers have the ARN that ends in ":*" only

    def _DescribeLogGroups(self, answer: Answer) -> Answer:
        found = answer.json
        for group in found["logGroups"]:
            plain = group["arn"].removesuffix(":*")
            group["arn"] = f"{plain}:*"
            group.pop("logGroupArn", None)
            if self.maybe():
                group["logGroupArn"] = plain
        neighbour = {
            "logGroupName": "/aws/lambda/inference-dev-random-forest-2",
            "arn": "arn:aws:logs:x:1:log-group:y:*",
        }
        if self.maybe() and any(
            group["logGroupName"].endswith("random-forest") for group in found["logGroups"]
        ):
            found["logGroups"].insert(0, neighbour)  # TEST-23, Logs-3
        return answer.with_json(found)

    def _ListTagsForResource(self, answer: Answer) -> Answer:
        tags = answer.json["tags"]
        if isinstance(tags, list):
            self.chance.shuffle(tags)
        return answer.with_json({**answer.json, "tags": tags})


def _without_length(answer: Answer) -> dict[str, str]:
    return {
        name: value for name, value in answer.headers.items() if name.lower() != "content-length"
    }


@pytest.fixture
def deployed(service: Service) -> Service:
    limits = FunctionSettings(provisioned_concurrency=2)
    service.overrides = {"per_function": {"random_forest": limits}}
    service.up()
    return service


@settings(
    max_examples=100 if WHOLE else 12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_no_shape_of_an_answer_shows_as_a_difference(deployed: Service, seed: int) -> None:
    """By default twelve seeds, with TESTS=every a hundred."""
    deployed.account.troubles = [reshaped := Reshaped(random.Random(seed))]
    assert deployed.plan().effective == ()
    wanted = {name[1:] for name in vars(Reshaped) if re.match("_[A-Z]", name)}
    assert reshaped.rewritten == wanted


def test_a_difference_shows_in_every_shape(deployed: Service) -> None:
    """By default with four seeds, with TESTS=every with ten."""
    deployed.account.aws().call(
        "lambda",
        "update_function_configuration",
        FunctionName="inference-dev-random-forest",
        Timeout=7,
    )
    for seed in thinned(range(10), every=3):
        deployed.account.troubles = [Reshaped(random.Random(seed))]
        shown = [
            change for change in deployed.plan().effective if change.key == "function/random_forest"
        ]
        assert {field.path for field in shown[0].fields} == {"timeout_s", "published"}
