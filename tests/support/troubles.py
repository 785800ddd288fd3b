"""Troubles: behaviours of AWS that emulators lack, with their ids of docs/aws-behaviours.md.

Times are seconds on the run's own clock, which only sleeping moves.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.support.clock import Clock
from tests.support.wire import Answer, Call, Forward, broken, refusal


@dataclass
class Script:
    """Refuse the first calls of operations in turn: `{"CreateRole": [(code, message, status)]}`."""

    answers: Mapping[str, Sequence[tuple[str, str, int]]]
    made: Counter[str] = field(default_factory=Counter)

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        queue = self.answers.get(call.operation, ())
        self.made[call.operation] += 1
        number = self.made[call.operation] - 1
        return refusal(call.service, *queue[number]) if number < len(queue) else None


@dataclass
class Always:
    """Refuse every call of an operation."""

    operation: str
    code: str
    message: str
    status: int = 400
    calls: int = 0

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if call.operation != self.operation:
            return None
        self.calls += 1
        return refusal(call.service, self.code, self.message, self.status)


THROTTLES = {
    "s3": ("SlowDown", "Please reduce your request rate.", 503),
    "iam": ("Throttling", "Rate exceeded", 400),
    "sts": ("Throttling", "Rate exceeded", 400),
    "ecr": ("ThrottlingException", "Rate exceeded", 400),
    "logs": ("ThrottlingException", "Rate exceeded", 400),
    "lambda": ("TooManyRequestsException", "Rate exceeded", 429),
    "stepfunctions": ("ThrottlingException", "Rate exceeded", 400),
    "apigateway": ("TooManyRequestsException", "Too Many Requests", 429),
    "apigatewayv2": ("TooManyRequestsException", "Too Many Requests", 429),
    "resourcegroupstaggingapi": ("ThrottledException", "Rate exceeded", 400),
}


@dataclass
class Throttle:
    """Throttle a share of all calls, in the words of the called service (R-23, R-26)."""

    share: float
    chance: random.Random

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if self.chance.random() >= self.share:
            return None
        return refusal(call.service, *THROTTLES[call.service])


@dataclass
class Unreliable:
    """A share of all calls fails: with a 500 before or after it took effect, or its answer is lost
    (GEN-3).
    """

    share: float
    chance: random.Random

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if self.chance.random() >= self.share:
            return None
        way = self.chance.randrange(3)
        if way:
            forward(call)
        if way == 2:
            raise broken(call)
        return refusal(call.service, "InternalFailure", "The request processing has failed.", 500)


@dataclass
class Slow:
    """A share of all answers takes long."""

    share: float
    seconds: float
    clock: Clock
    chance: random.Random

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if self.chance.random() < self.share:
            self.clock.sleep(self.seconds)
        return None


@dataclass
class Expired:
    """The credentials expire after so many writing calls."""

    after: int
    written: int = 0
    refused: int = 0

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        self.written += call.writes
        if self.written <= self.after:
            return None
        self.refused += 1
        code = "ExpiredToken" if call.service in ("s3", "iam", "sts") else "ExpiredTokenException"
        return refusal(
            call.service, code, "The security token included in the request is expired", 403
        )


@dataclass
class NewRoles:
    """A role cannot be used right after it was written (R-1, R-2, R-8, R-9, Iam-1, Iam-2)."""

    seconds: float
    clock: Clock
    written: dict[str, float] = field(default_factory=dict)

    _WRITES = ("CreateRole", "PutRolePolicy", "UpdateAssumeRolePolicy")

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if call.operation in self._WRITES:
            role = parse_qs(call.body.decode())["RoleName"][0]
            self.written[role] = self.clock() + self.seconds * (
                1 if call.operation == "CreateRole" else 2
            )
            return None
        name = {
            "CreateFunction": "Role",
            "UpdateFunctionConfiguration": "Role",
            "CreateStateMachine": "roleArn",
            "UpdateStateMachine": "roleArn",
        }.get(call.operation)
        role = str(call.json.get(name, "")).rpartition("/")[2] if name else ""
        left = self.written.get(role, 0) - self.clock()
        if left <= 0:
            return None
        if call.service == "lambda":
            text = (
                "The role defined for the function cannot be assumed by Lambda."
                if left > self.seconds / 2
                else "The provided execution role does not have permissions to call "
                "CreateLogStream on LOGS"
            )
            return refusal("lambda", "InvalidParameterValueException", text)
        text = (
            "Neither the global service principal states.amazonaws.com, nor the regional one is "
            "authorized to assume the "
            "provided role."
            if left > self.seconds / 2
            else "The state machine IAM Role is not authorized to access the Log Destination"
        )
        return refusal("stepfunctions", "AccessDeniedException", text)


@dataclass
class BusyFunctions:
    """Functions and versions are Pending after creation and InProgress after updates; writes
    meanwhile conflict, and so does deleting (Lambda-1, Lambda-2, Lambda-6, Lambda-18, R-4, R-5).

    Attributes:
        early: the operations that came too early: writes and invocations that were refused, and
            switches of a workflow to versions that are Pending.
    """

    seconds: float
    clock: Clock
    pending: dict[str, float] = field(default_factory=dict)
    updating: dict[str, float] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if call.operation in ("CreateStateMachine", "UpdateStateMachine"):
            self._switch(call)
        if call.service != "lambda":
            return None
        if call.operation == "CreateFunction":
            return self._create(call, forward)
        name = re.search(r"/functions/([^/?]+)", unquote(call.url))
        if not name:
            return None
        function = name[1]
        now = self.clock()
        if call.operation in ("GetFunction", "GetFunctionConfiguration"):
            return self._get(call, forward, function, now)
        return self._refused(call, function, now) or self._write(call, forward, function, now)

    def _switch(self, call: Call) -> None:
        named = re.findall(r"function:([\w-]+:\d+)", call.json.get("definition", ""))
        if any(self.clock() < self.pending.get(version, 0) for version in named):
            self.early.append(call.operation)

    def _refused(self, call: Call, function: str, now: float) -> Answer | None:
        qualifier = self._qualifier(call)
        invoked = call.operation == "Invoke"
        if not call.writes or call.operation == "TagResource" or (qualifier and not invoked):
            return None
        if now < self.pending.get(f"{function}:{qualifier}" if qualifier else function, 0):
            state = "The function is currently in the following state: Pending"
        elif now < self.updating.get(function, 0) and call.operation not in (
            "DeleteFunction",
            "Invoke",
        ):
            state = f"An update is in progress for resource: {function}"
        else:
            return None
        self.early.append(call.operation)
        text = f"The operation cannot be performed at this time. {state}"
        return refusal("lambda", "ResourceConflictException", text, 409)

    def _write(self, call: Call, forward: Forward, function: str, now: float) -> Answer:
        answer = forward(call)
        if answer.succeeded and call.operation.startswith("UpdateFunction"):
            self.updating[function] = now + self.seconds
            return answer.with_json({**answer.json, "LastUpdateStatus": "InProgress"})
        if answer.succeeded and call.operation == "PublishVersion":
            self.pending.setdefault(f"{function}:{answer.json['Version']}", now + self.seconds)
            return answer.with_json({**answer.json, "State": "Pending"})
        if answer.succeeded and call.operation == "DeleteFunction":
            self.updating.pop(function, None)
        return answer

    def _create(self, call: Call, forward: Forward) -> Answer:
        answer = forward(call)
        if answer.succeeded:
            self.pending[call.json["FunctionName"]] = self.clock() + self.seconds
            return answer.with_json(
                {**answer.json, "State": "Pending", "StateReasonCode": "Creating"}
            )
        return answer

    def _get(self, call: Call, forward: Forward, function: str, now: float) -> Answer:
        answer = forward(call)
        if not answer.succeeded:
            return answer
        qualifier = self._qualifier(call)
        found = answer.json
        configuration = found.get("Configuration", found)
        if now < self.pending.get(f"{function}:{qualifier}" if qualifier else function, 0):
            configuration |= {"State": "Pending", "StateReasonCode": "Creating"}
        elif now < self.updating.get(function, 0):
            configuration["LastUpdateStatus"] = "InProgress"
        return answer.with_json(found)

    @staticmethod
    def _qualifier(call: Call) -> str:
        return parse_qs(call.url.partition("?")[2]).get("Qualifier", [""])[0]


@dataclass
class SlowProvisioning:
    """Provisioned concurrency is IN_PROGRESS after it was set, with one environment less than
    requested (Pc-2).
    """

    seconds: float
    clock: Clock
    ready: dict[str, float] = field(default_factory=dict)

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if call.operation == "PutProvisionedConcurrencyConfig":
            self.ready[call.url] = self.clock() + self.seconds
        if call.operation != "GetProvisionedConcurrencyConfig":
            return None
        answer = forward(call)
        if not answer.succeeded or self.clock() >= self.ready.get(call.url, 0):
            return answer
        found = answer.json
        allocated = found["RequestedProvisionedConcurrentExecutions"] - 1
        counts = {
            f"{name}ProvisionedConcurrentExecutions": allocated
            for name in ("Allocated", "Available")
        }
        return answer.with_json({**found, **counts, "Status": "IN_PROGRESS"})


@dataclass
class Dead:
    """Provisioned concurrency fails for every version but the first (Pc-2)."""

    reason: str

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if call.operation not in (
            "GetProvisionedConcurrencyConfig",
            "ListProvisionedConcurrencyConfigs",
        ):
            return None
        answer = forward(call)
        failed = {"Status": "FAILED", "StatusReason": self.reason}
        found = answer.json
        if "Status" in found and not call.url.endswith("Qualifier=1"):
            return answer.with_json({**found, **failed})
        listed = [
            each if each["FunctionArn"].endswith(":1") else {**each, **failed}
            for each in found.get("ProvisionedConcurrencyConfigs", ())
        ]
        return answer.with_json({"ProvisionedConcurrencyConfigs": listed}) if listed else answer


@dataclass
class StaleReads:
    """A read shortly after a write may still return the former answer (GEN-8, Sfn-12)."""

    seconds: float
    clock: Clock
    chance: random.Random
    share: float = 0.7
    known: dict[tuple[str, str, bytes], Answer] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)
    # S3 has been consistent for objects since 2020; ECR's layers and images are read by digest.
    _STEADY = (
        "GetCallerIdentity",
        "ListObjectsV2",
        "HeadObject",
        "ListObjectVersions",
        "BatchCheckLayerAvailability",
        "BatchGetImage",
        "GetDownloadUrlForLayer",
        "DescribeImages",
        "ListImages",
    )

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if call.writes:
            self.written[call.service] = self.clock()
            return None
        if call.operation in self._STEADY:
            return None
        fresh = self.clock() - self.written.get(call.service, -1e9) < self.seconds
        if fresh and call.key in self.known and self.chance.random() < self.share:
            return self.known[call.key]
        answer = forward(call)
        self.known[call.key] = answer
        return answer


@dataclass
class SlowDeletes:
    """State machine and function are still there for a while after their deletion (Sfn-21, R-10,
    Lambda-5, ECR-4).
    """

    seconds: float
    clock: Clock
    deleting: dict[str, float] = field(default_factory=dict)
    last: dict[str, Answer] = field(default_factory=dict)

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        now = self.clock()
        if call.operation == "DescribeStateMachine":
            arn = call.json["stateMachineArn"]
            if now < self.deleting.get(arn, 0):
                return self.last[arn].with_json({**self.last[arn].json, "status": "DELETING"})
            answer = forward(call)
            if answer.succeeded:
                self.last[arn] = answer
            return answer
        if call.operation == "DeleteStateMachine":
            arn = call.json["stateMachineArn"]
            if arn in self.last and arn not in self.deleting:
                self.deleting[arn] = now + self.seconds
            return None
        if call.operation == "CreateStateMachine":
            name = call.json["name"]
            if any(
                arn.endswith(f":{name}") and now < until for arn, until in self.deleting.items()
            ):
                return refusal(
                    "stepfunctions",
                    "StateMachineDeleting",
                    f"State machine is being deleted: {name}",
                )
            self.deleting.clear()
        return self._function(call, forward, now)

    def _function(self, call: Call, forward: Forward, now: float) -> Answer | None:
        if call.operation == "GetFunction" and "Qualifier" not in call.url:
            if now < self.deleting.get(call.url, 0):
                return self.last[call.url]
            answer = forward(call)
            if answer.succeeded:
                self.last[call.url] = answer
            return answer
        if (
            call.operation == "DeleteFunction"
            and call.url in self.last
            and "Qualifier" not in call.url
        ):
            self.deleting.setdefault(call.url, now + self.seconds)
        if call.operation == "CreateFunction":
            self.deleting.clear()
        return None


@dataclass
class Conflicts:
    """A write soon after another on the same API, bucket, role or log group may be refused (R-13,
    R-17, R-18, R-19, R-21), and a removal that IAM has not seen keeps a role in use (R-12)."""

    seconds: float
    clock: Clock
    chance: random.Random
    share: float = 0.5
    written: dict[str, float] = field(default_factory=dict)

    _REFUSALS = {
        "apigateway": (
            "ConflictException",
            "Unable to complete operation due to concurrent modification. Please try again later.",
            409,
        ),
        "apigatewayv2": (
            "ConflictException",
            "Unable to complete operation due to concurrent modification. Please try again later.",
            409,
        ),
        "s3": (
            "OperationAborted",
            "A conflicting conditional operation is currently in progress against this resource.",
            409,
        ),
        "iam": (
            "ConcurrentModification",
            "The request was rejected because multiple requests to "
            "change this object were submitted",
            409,
        ),
        "logs": (
            "OperationAbortedException",
            "A conflicting operation is currently in progress. Please try again",
            400,
        ),
    }
    _OBJECTS = ("PutObject", "DeleteObjects")

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        known = self._REFUSALS.get(call.service)
        if not call.writes or known is None or call.operation in self._OBJECTS:
            return None
        thing = f"{call.service}/{self._thing(call)}"
        soon = self.clock() - self.written.get(thing, -1e9) < self.seconds
        if soon and self.chance.random() < self.share:
            if call.operation == "DeleteRole":
                return refusal(
                    "iam",
                    "DeleteConflict",
                    "Cannot delete entity, must delete policies first.",
                    409,
                )
            if call.operation.startswith("PutBucket") and self.chance.random() < 0.5:
                return refusal("s3", "NoSuchBucket", "The specified bucket does not exist", 404)
            return refusal(call.service, *known)
        self.written[thing] = self.clock()
        return None

    @staticmethod
    def _thing(call: Call) -> str:
        if call.service == "iam":
            return parse_qs(call.body.decode())["RoleName"][0]
        if call.service == "logs":
            return str(call.json.get("logGroupName"))
        if call.service == "s3":
            return call.url.split("/")[3].partition("?")[0]
        return "/".join(call.url.split("/")[3:6])


@dataclass
class ReturningLogs:
    """A log group that was deleted comes back once, without tags and retention (Logs-9)."""

    name: str
    tags: Sequence[str]
    returned: bool = False

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if (
            call.operation != "DeleteLogGroup"
            or call.json.get("logGroupName") != self.name
            or self.returned
        ):
            return None
        self.returned = True
        answer = forward(call)
        arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{self.name}"
        for operation, content in (
            ("CreateLogGroup", {"logGroupName": self.name}),
            (
                "UntagResource",
                {"resourceArn": arn, "tagKeys": list(self.tags)},
            ),  # moto keeps the tags of what is gone
        ):
            body = json.dumps(content).encode()
            sent = {"X-Amz-Target": f"Logs_20140328.{operation}", "Content-Length": str(len(body))}
            made = forward(
                Call("logs", operation, "POST", call.url, body, {**dict(call.headers), **sent})
            )
            assert made.succeeded
        return answer


@dataclass
class Rates:
    """Refuse calls beyond the rates that AWS documents, and count them (Api-30, Lambda-29,
    Logs-12, Sfn-31).
    """

    clock: Clock
    tokens: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        what, rate, burst = self._limit(call)
        if not rate:
            return None
        now = self.clock()
        tokens = min(burst, self.tokens.get(what, burst) + (now - self.last.get(what, now)) * rate)
        self.last[what] = now
        if tokens < 1 - 1e-6:
            self.tokens[what] = tokens
            self.refused[what] += 1
            return refusal(call.service, *THROTTLES[call.service])
        self.tokens[what] = tokens - 1
        self.passed[what] += 1
        return None

    @staticmethod
    def _limit(call: Call) -> tuple[str, float, float]:
        if call.operation in ("CreateDeployment", "DeleteRestApi"):
            return call.operation, 1 / (5 if call.operation == "CreateDeployment" else 30), 1
        if call.service in ("apigateway", "apigatewayv2"):
            return "apigateway", 10, 40
        if call.operation == "Invoke":
            return "Invoke", 100, 100
        if call.service == "lambda":
            return (
                ("GetFunction", 100, 100) if call.operation == "GetFunction" else ("lambda", 15, 45)
            )
        if call.operation in ("CreateLogGroup", "DeleteLogGroup", "DescribeLogGroups"):
            return call.operation, 5, 15
        if call.operation in ("CreateStateMachine", "UpdateStateMachine", "DeleteStateMachine"):
            return call.operation, 1, 100
        if call.operation == "DescribeStateMachine":
            return call.operation, 20, 200
        return "", 0, 0


def everything_at_once(seed: int, clock: Clock) -> list[Any]:
    """Return a schedule of all troubles together, the same for the same seed."""
    chance = random.Random(seed)
    return [
        Throttle(0.05, chance),
        Slow(0.1, chance.uniform(1, 5), clock, chance),
        Unreliable(0.03, chance),
        StaleReads(chance.uniform(2, 15), clock, chance),
        Conflicts(chance.uniform(1, 5), clock, chance),
        NewRoles(chance.uniform(5, 40), clock),
        BusyFunctions(chance.uniform(3, 60), clock),
        SlowDeletes(chance.uniform(5, 60), clock),
        SlowProvisioning(chance.uniform(5, 200), clock),
    ]
