"""IAM: roles with their inline policies."""

from __future__ import annotations

from deployer.aws import Aws
from deployer.compare import canonical_json, canonical_policy, tag_list, tags_from
from deployer.errors import AwsError, ForeignResource
from deployer.plan import Change, Fields, State
from deployer.resources.base import Resource, Tags, changed, must_be_ours

_ABSENT = ("NoSuchEntity",)


def _settling(error: AwsError) -> str | None:
    """IAM does not see a principal yet, or another writer is at this role (R-11, R-13)."""
    if error.code == "MalformedPolicyDocument" and "Invalid principal" in error.aws_message:
        return "for IAM: a principal in the trust policy is not seen yet"
    return "for IAM: another change of this role is under way" if error.code == "ConcurrentModification" else None


class Role(Resource):
    """A role that a service assumes.

    Fields: `description`, `trust` (a policy), `policies` (inline, by name), `permissions_boundary` (an ARN or None).

    All inline policies are ours: an added one shows as a difference. Attached managed policies are somebody else's.
    """

    def __init__(self, key: str, *, name: str, ours: Tags, fields: Fields | None = None) -> None:
        super().__init__(key, fields)
        self.name = name
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        answer = aws.find(_ABSENT, "iam", "get_role", RoleName=self.name)
        if answer is None:
            return None
        role = answer["Role"]
        must_be_ours(f"IAM role {self.name}", tags_from(role.get("Tags")), self.ours)
        boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        return State(
            {
                "description": role.get("Description", ""),
                "trust": canonical_policy(role["AssumeRolePolicyDocument"]),
                "policies": {name: self._policy(aws, name) for name in self._policy_names(aws)},
                "permissions_boundary": boundary,
            }
        )

    def _policy_names(self, aws: Aws) -> list[str]:
        return list(aws.pages("iam", "list_role_policies", "PolicyNames", RoleName=self.name))

    def _policy(self, aws: Aws, name: str) -> object:
        answer = aws.call("iam", "get_role_policy", RoleName=self.name, PolicyName=name)
        return canonical_policy(answer["PolicyDocument"])

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "RoleName": self.name,
            "AssumeRolePolicyDocument": canonical_json(desired["trust"]),
            "Description": desired["description"],
            "Tags": tag_list(self.ours),
        }
        if desired["permissions_boundary"]:
            parameters["PermissionsBoundary"] = desired["permissions_boundary"]
        aws.retry(lambda: aws.call("iam", "create_role", **parameters), when=_settling)
        for name in desired["policies"]:
            self._put_policy(aws, name, desired)
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        role = {"RoleName": self.name}
        if changed(change, "description"):
            aws.call("iam", "update_role", **role, Description=desired["description"])
        if changed(change, "permissions_boundary"):
            boundary = desired["permissions_boundary"]
            if boundary:
                aws.call("iam", "put_role_permissions_boundary", **role, PermissionsBoundary=boundary)
            else:
                aws.call("iam", "delete_role_permissions_boundary", **role)
        if changed(change, "trust"):
            document = canonical_json(desired["trust"])
            aws.retry(
                lambda: aws.call("iam", "update_assume_role_policy", **role, PolicyDocument=document),
                when=_settling,
            )
        if changed(change, "policies"):
            self._update_policies(aws, desired, actual)
        return {}

    def _update_policies(self, aws: Aws, desired: Fields, actual: State) -> None:
        wanted, found = desired["policies"], actual.fields["policies"]
        for name in wanted:
            if wanted[name] != found.get(name):
                self._put_policy(aws, name, desired)
        for name in found.keys() - wanted.keys():
            aws.find(_ABSENT, "iam", "delete_role_policy", RoleName=self.name, PolicyName=name)

    def _put_policy(self, aws: Aws, name: str, desired: Fields) -> None:
        document = canonical_json(desired["policies"][name])
        aws.retry(
            lambda: aws.call("iam", "put_role_policy", RoleName=self.name, PolicyName=name, PolicyDocument=document),
            when=_settling,
        )

    def delete(self, aws: Aws) -> None:
        try:
            attached = [
                each["PolicyArn"]
                for each in aws.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=self.name)
            ]
            if attached:
                raise ForeignResource(
                    f"IAM role {self.name} has policies attached that are not ours: {', '.join(attached)}",
                    "detach them, then run the command again",
                )
            for name in self._policy_names(aws):
                aws.find(_ABSENT, "iam", "delete_role_policy", RoleName=self.name, PolicyName=name)
            aws.retry(lambda: aws.call("iam", "delete_role", RoleName=self.name), when=_still_used)
        except AwsError as error:
            if error.code not in _ABSENT:
                raise


def _still_used(error: AwsError) -> str | None:
    """IAM still sees a policy that was deleted a moment ago (R-12)."""
    busy = error.code in ("DeleteConflict", "ConcurrentModification")
    return "for IAM: the role's policies are not seen as deleted yet" if busy else None
