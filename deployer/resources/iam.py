"""IAM: roles with their inline policies."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from deployer.aws.access import Aws
from deployer.engine.compare import canonical_json, canonical_policy, tag_list, tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.errors import AwsError, ForeignResource
from deployer.resources.base import Ownership, Resource, changed

_ABSENT = ("NoSuchEntity",)


def not_ready(error: AwsError) -> str | None:
    """IAM does not see what was just done, or another writer is at this role (R-11, R-12, R-13,
    GEN-8).
    """
    if error.code == "MalformedPolicyDocument" and "Invalid principal" in error.aws_message:
        return "for IAM: a principal in the trust policy is not seen yet"
    if error.code == "DeleteConflict":
        return "for IAM: the role's policies are not seen as deleted yet"
    if error.code in _ABSENT:  # what removes does not get here
        return "for IAM: the new role is not seen yet"
    return (
        "for IAM: another change of this role is under way"
        if error.code == "ConcurrentModification"
        else None
    )


class Role(Resource):
    """A role that a service assumes.

    Fields: `tags`, `description`, `trust` (a policy), `policies` (inline, by name),
        `permissions_boundary` (an ARN or None).

    All inline policies are ours: an added one shows as a difference. Attached managed policies are
    somebody else's.
    """

    exists = ("EntityAlreadyExists",)

    def __init__(
        self, key: str, *, name: str, ours: Ownership, fields: Fields | None = None
    ) -> None:
        super().__init__(key, fields)
        self.name = name
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        role, policies = aws.together(lambda: self._get(aws), lambda: self._policies(aws))
        if role is None or policies is None:
            return None
        boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        return State(
            {
                "tags": self.ours.among(tags_from(role.get("Tags"))),
                "description": role.get("Description", ""),
                "trust": canonical_policy(role["AssumeRolePolicyDocument"]),
                "policies": policies,
                "permissions_boundary": boundary,
            }
        )

    def find(self, aws: Aws) -> State | None:
        return State({}) if self._get(aws) else None

    def _get(self, aws: Aws) -> dict[str, Any] | None:
        answer = aws.find(_ABSENT, "iam", "get_role", RoleName=self.name)
        if answer is None:
            return None
        role: dict[str, Any] = answer["Role"]
        self.ours.check(f"IAM role {self.name}", tags_from(role.get("Tags")))
        return role

    def _attached(self, aws: Aws) -> list[str]:
        found = aws.pages(
            "iam", "list_attached_role_policies", "AttachedPolicies", RoleName=self.name
        )
        return [each["PolicyArn"] for each in found]

    def _policy_names(self, aws: Aws) -> list[str]:
        return list(aws.pages("iam", "list_role_policies", "PolicyNames", RoleName=self.name))

    def _policies(self, aws: Aws) -> dict[str, object] | None:
        """Return the inline policies by name; one that goes while being read is left out. None: the
        role itself went.
        """
        try:
            names = self._policy_names(aws)
        except AwsError as error:
            if error.code in _ABSENT:
                return None
            raise
        get = partial(aws.find, _ABSENT, "iam", "get_role_policy", RoleName=self.name)
        found = zip(names, aws.together(*(partial(get, PolicyName=name) for name in names)))
        return {
            name: canonical_policy(answer["PolicyDocument"]) for name, answer in found if answer
        }

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = {
            "AssumeRolePolicyDocument": canonical_json(desired["trust"]),
            "Description": desired["description"],
            "Tags": tag_list(desired["tags"]),
        }
        if desired["permissions_boundary"]:
            parameters["PermissionsBoundary"] = desired["permissions_boundary"]
        self._write(aws, "create_role", **parameters)
        for name in desired["policies"]:
            self._put_policy(aws, name, desired)
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):
            self._write(aws, "tag_role", Tags=tag_list(desired["tags"]))
        if changed(change, "description"):
            self._write(aws, "update_role", Description=desired["description"])
        if changed(change, "permissions_boundary"):
            boundary = desired["permissions_boundary"]
            if boundary:
                self._write(aws, "put_role_permissions_boundary", PermissionsBoundary=boundary)
            else:
                self._remove(aws, "delete_role_permissions_boundary")
        if changed(change, "trust"):
            self._write(
                aws, "update_assume_role_policy", PolicyDocument=canonical_json(desired["trust"])
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
            self._remove(aws, "delete_role_policy", PolicyName=name)

    def _put_policy(self, aws: Aws, name: str, desired: Fields) -> None:
        document = canonical_json(desired["policies"][name])
        self._write(aws, "put_role_policy", PolicyName=name, PolicyDocument=document)

    def _write(self, aws: Aws, operation: str, **parameters: Any) -> None:
        aws.retry(
            lambda: aws.call("iam", operation, RoleName=self.name, **parameters), when=not_ready
        )

    def _remove(self, aws: Aws, operation: str, **parameters: Any) -> None:
        aws.retry(
            lambda: aws.find(_ABSENT, "iam", operation, RoleName=self.name, **parameters),
            when=not_ready,
        )

    def delete(self, aws: Aws) -> None:
        """Delete the declared policies and the role without looking; only if IAM refuses is looked
        for what else it has.

        A role with a policy of somebody else's attached is left, without its own.
        """
        try:
            self._remove_policies(aws, self.fields.get("policies", ()))
            aws.call("iam", "delete_role", RoleName=self.name)
        except AwsError as error:
            if error.code in ("ConcurrentModification", "DeleteConflict"):
                self._delete_whatever_it_has(aws)
            elif error.code not in _ABSENT:
                raise

    def _delete_whatever_it_has(self, aws: Aws) -> None:
        """Delete a role that has more policies than are declared, or of which IAM does not see yet
        that they went.
        """
        try:
            attached, names = aws.together(
                partial(self._attached, aws), partial(self._policy_names, aws)
            )
            if attached:
                raise ForeignResource(
                    f"IAM role {self.name} has policies attached that are not ours: "
                    f"{', '.join(attached)}",
                    "detach them, then run the command again",
                )
            self._remove_policies(aws, names)
            self._remove(aws, "delete_role")
        except AwsError as error:
            if error.code not in _ABSENT:
                raise

    def _remove_policies(self, aws: Aws, names: Iterable[str]) -> None:
        for (
            name
        ) in names:  # one by one: IAM refuses changes of one role at once (ConcurrentModification)
            self._remove(aws, "delete_role_policy", PolicyName=name)
