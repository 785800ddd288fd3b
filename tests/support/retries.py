"""Every transient error of AWS and the operation that meets it (R-1 to R-26)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """A row of the catalogue's retry table: one call, its error, and the message while waiting."""

    id: str
    run: str  # up, change (an up with other settings), open (an up without auth = jwt) or down
    operation: str
    code: str
    message: str
    status: int
    told: str


_ROLE = "waiting for IAM: Lambda cannot assume the execution role yet"


_WORKFLOW = "waiting for IAM: Step Functions cannot assume the workflow's role yet"


_DELIVERY = "waiting for IAM: the workflow's role may not deliver logs yet"


_FUNCTION = "waiting for Lambda: the function is still being changed"


_BUCKET = "waiting for S3: the bucket is not ready for another change yet"


_LOGS = "waiting for CloudWatch Logs: another change of the log group is under way"


_API = "waiting for API Gateway: another change of this API is under way"


_CALLS = "waiting for AWS: too many calls in this account"


_ASSUME = "The role defined for the function cannot be assumed by Lambda."


_PERMISSION = (
    "The provided execution role does not have permissions to call CreateLogStream on LOGS"
)


_GRANT = (
    "Lambda was unable to configure access to your environment variables because the KMS "
    "key is invalid for CreateGrant."
)


_PENDING = (
    "The operation cannot be performed at this time. The function is currently in the "
    "following state: Pending"
)


_UPDATING = (
    "The operation cannot be performed at this time. An update is in progress for resource: x"
)


_STATES = (
    "Neither the global service principal states.amazonaws.com, nor the regional one is "
    "authorized to assume the provided role."
)


_DESTINATION = "The state machine IAM Role is not authorized to access the Log Destination"


_ABORTED = (
    "A conflicting conditional operation is currently in progress against this resource. "
    "Please try again."
)


_BUSY = "Unable to complete operation due to concurrent modification. Please try again later."


_MULTIPLE = (
    "The request was rejected because multiple requests to change this object were "
    "submitted simultaneously."
)


_PULL = "Lambda does not have permission to access the ECR image. Check the ECR permissions."


_RETENTION = (
    "User: u is not authorized to perform: logs:PutRetentionPolicy because no "
    "identity-based policy allows the logs:PutRetentionPolicy action"
)


ROWS = [
    Row("R-1", "up", "CreateFunction", "InvalidParameterValueException", _ASSUME, 400, _ROLE),
    Row(
        "R-1",
        "change",
        "UpdateFunctionConfiguration",
        "InvalidParameterValueException",
        _ASSUME,
        400,
        _ROLE,
    ),
    Row("R-2", "up", "CreateFunction", "InvalidParameterValueException", _PERMISSION, 400, _ROLE),
    Row(
        "R-2",
        "change",
        "UpdateFunctionConfiguration",
        "InvalidParameterValueException",
        _PERMISSION,
        400,
        _ROLE,
    ),
    Row("R-3", "up", "CreateFunction", "InvalidParameterValueException", _GRANT, 400, _ROLE),
    Row(
        "R-4",
        "change",
        "UpdateFunctionConfiguration",
        "ResourceConflictException",
        _UPDATING,
        409,
        _FUNCTION,
    ),
    Row("R-4", "down", "DeleteFunction", "ResourceConflictException", _PENDING, 409, _FUNCTION),
    Row("R-5", "up", "PublishVersion", "ResourceConflictException", _UPDATING, 409, _FUNCTION),
    Row(
        "R-6",
        "up",
        "PublishVersion",
        "ResourceNotFoundException",
        "Function not found: x",
        404,
        "waiting for Lambda: the new function is not seen yet",
    ),
    Row("R-8", "up", "CreateStateMachine", "AccessDeniedException", _STATES, 400, _WORKFLOW),
    Row("R-8", "change", "UpdateStateMachine", "AccessDeniedException", _STATES, 400, _WORKFLOW),
    Row("R-9", "up", "CreateStateMachine", "AccessDeniedException", _DESTINATION, 400, _DELIVERY),
    Row(
        "R-9", "change", "UpdateStateMachine", "AccessDeniedException", _DESTINATION, 400, _DELIVERY
    ),
    Row(
        "R-10",
        "up",
        "CreateStateMachine",
        "StateMachineDeleting",
        "State machine is being deleted: x",
        400,
        "waiting for Step Functions: the former state machine is still being deleted",
    ),
    Row(
        "R-11",
        "up",
        "CreateRole",
        "MalformedPolicyDocument",
        'Invalid principal in policy: "SERVICE":"x"',
        400,
        "waiting for IAM: a principal in the trust policy is not seen yet",
    ),
    Row(
        "R-12",
        "down",
        "DeleteRole",
        "DeleteConflict",
        "Cannot delete entity, must delete policies first.",
        409,
        "waiting for IAM: the role's policies are not seen as deleted yet",
    ),
    Row(
        "R-13",
        "up",
        "PutRolePolicy",
        "ConcurrentModification",
        _MULTIPLE,
        409,
        "waiting for IAM: another change of this role is under way",
    ),
    Row(
        "R-13",
        "down",
        "DeleteRolePolicy",
        "ConcurrentModification",
        _MULTIPLE,
        409,
        "waiting for IAM: another change of this role is under way",
    ),
    Row(
        "GEN-8",
        "up",
        "PutRolePolicy",
        "NoSuchEntity",
        "The role with name x cannot be found.",
        404,
        "waiting for IAM: the new role is not seen yet",
    ),
    Row(
        "R-14",
        "up",
        "SetRepositoryPolicy",
        "InvalidParameterException",
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository "
        "policy provided'",
        400,
        "waiting for ECR: the repository policy is not accepted yet",
    ),
    Row(
        "R-15",
        "up",
        "SetRepositoryPolicy",
        "RepositoryNotFoundException",
        "The repository does not exist",
        400,
        "waiting for ECR: the new repository is not seen yet",
    ),
    Row(
        "R-16",
        "up",
        "CreateFunction",
        "AccessDeniedException",
        _PULL,
        403,
        "waiting for ECR: Lambda may not pull the image yet",
    ),
    Row("R-17", "up", "CreateBucket", "OperationAborted", _ABORTED, 409, _BUCKET),
    Row("R-17", "up", "PutBucketPolicy", "OperationAborted", _ABORTED, 409, _BUCKET),
    Row(
        "R-17",
        "down",
        "DeleteBucket",
        "OperationAborted",
        _ABORTED,
        409,
        "waiting for S3: another change of the bucket is still under way",
    ),
    Row(
        "R-18",
        "up",
        "PutBucketTagging",
        "NoSuchBucket",
        "The specified bucket does not exist",
        404,
        _BUCKET,
    ),
    Row(
        "R-19",
        "down",
        "DeleteLogGroup",
        "OperationAbortedException",
        "Please try again",
        400,
        _LOGS,
    ),
    Row(
        "R-19", "up", "CreateLogGroup", "OperationAbortedException", "Please try again", 400, _LOGS
    ),
    Row(
        "R-20",
        "up",
        "PutRetentionPolicy",
        "AccessDeniedException",
        _RETENTION,
        400,
        "waiting for IAM: the permission to change the log group is not seen yet",
    ),
    Row("R-21", "up", "CreateIntegration", "ConflictException", _BUSY, 409, _API),
    Row("R-21", "change", "UpdateStage", "ConflictException", _BUSY, 409, _API),
    Row("R-21", "down", "DeleteApi", "ConflictException", _BUSY, 409, _API),
    Row(
        "R-22",
        "open",
        "DeleteAuthorizer",
        "ConflictException",
        "Cannot delete: a route uses this authorizer",
        409,
        "waiting for API Gateway: a route still uses the authorizer",
    ),
    Row("R-23", "up", "CreateApi", "TooManyRequestsException", "Too Many Requests", 429, _CALLS),
    Row("R-26", "up", "CreateRole", "Throttling", "Rate exceeded", 400, _CALLS),
    Row("R-26", "up", "CreateRepository", "ClientException", "Rate exceeded", 400, _CALLS),
]


# What was deployed before a run.
BEFORE: dict[str, dict[str, Any]] = {
    "change": {},
    "down": {},
    "open": {"auth": "jwt", "jwt_issuer": "http://127.0.0.1:9", "jwt_audience": ("a",)},
}
CHANGE: dict[str, Any] = {"tracing": True, "log_retention_days": 30, "burst_limit": 7}
