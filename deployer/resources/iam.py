"""IAM: roles with their inline policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, TypedDict

from deployer.aws.access import Aws
from deployer.engine.compare import canonical_json, canonical_policy, tag_list, tags_from
from deployer.engine.plan import Change, Fields, State
from deployer.errors import AwsError, ForeignResource
from deployer.resources.base import Ownership, Policy, Resource, Tags, changed, retag
from deployer.resources.fields import Setting, given, read_members, settings, write_members

_ABSENT = ("NoSuchEntity",)


def not_ready(error: AwsError) -> str | None:
    """Return why a write may succeed later (R-11, R-12, R-13, GEN-8)."""
    if error.code == "MalformedPolicyDocument" and "Invalid principal" in error.aws_message:
        return "for IAM: a principal in the trust policy is not seen yet"
    if error.code == "DeleteConflict":
        return "for IAM: the role's policies are not seen as deleted yet"
    if error.code in _ABSENT:  # a removal does not retry this code
        return "for IAM: the new role is not seen yet"
    return (
        "for IAM: another change of this role is under way"
        if error.code == "ConcurrentModification"
        else None
    )


class RoleFields(TypedDict):
    """The fields of a role. `policies`: the inline policies by name."""

    tags: Tags
    policies: Mapping[str, Policy]
    description: Annotated[str, Setting("Description", default="", put="update_role")]
    permissions_boundary: Annotated[
        str | None,  # an ARN
        Setting(
            "PermissionsBoundary",
            answer="PermissionsBoundary.PermissionsBoundaryArn",
            put="put_role_permissions_boundary",
            remove="delete_role_permissions_boundary",
        ),
    ]
    # UpdateAssumeRolePolicy calls it PolicyDocument; CreateRole and GetRole do not.
    trust: Annotated[
        Policy,
        Setting(
            "PolicyDocument",
            answer="AssumeRolePolicyDocument",
            parse=canonical_policy,
            write_as=canonical_json,
            put="update_assume_role_policy",
        ),
    ]


_SETTINGS = settings(RoleFields)


class Role(Resource):
    """A role that a service assumes.

    All inline policies are ours: an added one shows as a difference. Attached managed policies
    belong to other people.
    """

    exists = ("EntityAlreadyExists",)
    reads = ("iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy")
    finds = ("iam:GetRole",)
    writes = (
        "iam:CreateRole",
        "iam:TagRole",
        "iam:UntagRole",
        "iam:UpdateRole",
        "iam:UpdateAssumeRolePolicy",
        "iam:PutRolePolicy",
        "iam:DeleteRolePolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:DeleteRolePermissionsBoundary",
    )
    deletes = (
        "iam:DeleteRolePolicy",
        "iam:DeleteRole",
        "iam:ListRolePolicies",
        "iam:ListAttachedRolePolicies",
    )

    def __init__(self, key: str, *, name: str, ours: Ownership, fields: RoleFields) -> None:
        super().__init__(key, fields)
        self.name = name
        self.ours = ours

    def read(self, aws: Aws) -> State | None:
        role, policies = aws.together(lambda: self._get(aws), lambda: self._policies(aws))
        if role is None or policies is None:
            return None
        tags = self.ours.among(tags_from(role.get("Tags")))
        return State({"tags": tags, "policies": policies, **read_members(_SETTINGS, role)})

    def widens(self, before: Fields | None, after: Fields) -> Iterator[str]:
        yield from super().widens(before, after)
        if before and before.get("permissions_boundary") and not after["permissions_boundary"]:
            yield "the permissions boundary is removed"

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
        policies = aws.pages(
            "iam", "list_attached_role_policies", "AttachedPolicies", RoleName=self.name
        )
        return [policy["PolicyArn"] for policy in policies]

    def _policy_names(self, aws: Aws) -> list[str]:
        return list(aws.pages("iam", "list_role_policies", "PolicyNames", RoleName=self.name))

    def _policies(self, aws: Aws) -> dict[str, object] | None:
        """Return the inline policies by name, without those deleted meanwhile.

        None: the role itself has been deleted.
        """
        try:
            names = self._policy_names(aws)
        except AwsError as error:
            if error.code in _ABSENT:
                return None
            raise
        get = partial(aws.find, _ABSENT, "iam", "get_role_policy", RoleName=self.name)
        answers = aws.together(*(partial(get, PolicyName=name) for name in names))
        return {
            name: canonical_policy(answer["PolicyDocument"])
            for name, answer in zip(names, answers, strict=True)
            if answer
        }

    def create(self, aws: Aws, desired: Fields) -> Fields:
        parameters = write_members(_SETTINGS, given(desired))
        parameters["AssumeRolePolicyDocument"] = parameters.pop("PolicyDocument")
        self._write(aws, "create_role", **parameters, Tags=tag_list(desired["tags"]))
        for name in desired["policies"]:
            self._put_policy(aws, name, desired)
        return {}

    def update(self, aws: Aws, desired: Fields, actual: State, change: Change) -> Fields:
        if changed(change, "tags"):
            retag(
                desired["tags"],
                actual.fields["tags"],
                tag=lambda tags: self._write(aws, "tag_role", Tags=tag_list(tags)),
                untag=lambda keys: self._write(aws, "untag_role", TagKeys=keys),
            )
        for name, setting in _SETTINGS.items():
            if changed(change, name):
                operation, parameters = setting.call(desired[name])
                write = self._remove if operation == setting.remove else self._write
                write(aws, operation, **parameters)
        if changed(change, "policies"):
            self._update_policies(aws, desired, actual)
        return {}

    def _update_policies(self, aws: Aws, desired: Fields, actual: State) -> None:
        wanted, existing = desired["policies"], actual.fields["policies"]
        for name in wanted:
            if wanted[name] != existing.get(name):
                self._put_policy(aws, name, desired)
        for name in existing.keys() - wanted.keys():
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
        """Delete the declared policies and the role; only if IAM refuses, list its other policies.

        A role to which other people attached a policy is kept, without its own policies.
        """
        try:
            self._remove_policies(aws, self.fields["policies"])
            aws.call("iam", "delete_role", RoleName=self.name)
        except AwsError as error:
            if error.code in ("ConcurrentModification", "DeleteConflict"):
                self._delete_with_all_policies(aws)
            elif error.code not in _ABSENT:
                raise

    def _delete_with_all_policies(self, aws: Aws) -> None:
        """Delete a role that has undeclared policies, or whose deleted ones IAM still sees."""
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
        # One by one: IAM refuses concurrent changes of a role (ConcurrentModification).
        for name in names:
            self._remove(aws, "delete_role_policy", PolicyName=name)
