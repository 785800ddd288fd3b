"""ECR, and images."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = [
    Mutation(
        "ECR-1",
        "resources/ecr.py",
        'exists = ("RepositoryAlreadyExistsException",)',
        "exists = ()",
        "first",
    ),
    Mutation(
        "ECR-2", "resources/ecr.py", 'replace_on = ("encryption",)', "replace_on = ()", "repository"
    ),
    Mutation(
        "ECR-3",
        "resources/ecr.py",
        'missing=("RepositoryPolicyNotFoundException",)',
        'missing=("X",)',
    ),
    Mutation(
        "ECR-4",
        "resources/ecr.py",
        'aws.wait_until(gone, reason="for ECR: the repository is being deleted")',
        "gone()",
    ),
    Mutation(
        "ECR-5", "engine/compare.py", "sorted(value) if isinstance(value, list)", "value if 0"
    ),
    Mutation("ECR-6", "service/declare.py", '"tagStatus": "untagged"', '"tagStatus": "any"'),
    Mutation("ECR-7", "service/declare.py", ', "ecr:GetDownloadUrlForLayer"]', "]"),
    Mutation(
        "ECR-8", "service/declare.py", "policy=policy(pull)", 'policy=policy({**pull, "Sid": "x"})'
    ),
    Mutation(
        "ECR-9",
        "service/permissions.py",
        'allow(["s3:GetObject"]',
        'allow(["ecr:BatchGetImage", "s3:GetObject"]',
    ),
    Mutation(
        "ECR-10",
        "project/settings.py",
        "def repository(self) -> str:\n        return self.prefix",
        "def repository(self) -> str:\n        return self.prefix.upper()",
    ),
    Mutation(
        "ECR-11",
        "resources/ecr.py",
        "return True if self._describe(aws) is None else None",
        "return True",
    ),
    Mutation(
        "ECR-12",
        "resources/lambda_.py",
        'changed(change, *_CODE, "failure")',
        "changed(change, *_CODE)",
    ),
    Mutation("ECR-13", "resources/ecr.py", '_ACTIVE = "ACTIVE"', '_ACTIVE = "ARCHIVED"'),
    Mutation("ECR-14", "resources/ecr.py", "if not images or images[0]", "if images[0]"),
    Mutation("Img-1", "images/engine.py", 'refusals = ("expired", ', "refusals = ("),
    Mutation("Img-2", "resources/ecr.py", '        "ecr:UploadLayerPart",\n', ""),
    Mutation(
        "Img-3",
        "images/engine.py",
        'for message in stream:\n        if "error" in message:',
        "for message in stream:\n        if False:",
    ),
    Mutation("Img-4", "images/ecr.py", "if media_type not in IMAGE_TYPES:", "if False:"),
    Mutation(
        "Img-7",
        "resources/ecr.py",
        "if media_type is not None and media_type not in LAMBDA_MEDIA_TYPES:",
        "if False:",
    ),
    Mutation("Img-9", "images/ecr.py", "if platform != (", "if False and platform != ("),
    Mutation("Img-10", "images/ecr.py", '"ImageAlreadyExistsException"', '"?"'),
    Mutation(
        "Img-11",
        "resources/lambda_.py",
        "return f\"{self.repository_uri}@{desired['image_digest']}\"",
        'return f"{self.repository_uri}:latest"',
    ),
    Mutation(
        "Img-12", "resources/lambda_.py", "f\"sha256:{configuration['CodeSha256']}\"", '"sha256:0"'
    ),
    Mutation("Img-13", "images/ecr.py", "if stored != image.digest:", "if False:"),
    Mutation("Img-14", "images/ecr.py", 'if not answer["images"]:', "if False:"),
    Mutation("Img-15", "images/layers.py", "else 0o644", "else 0o600"),
    Mutation("Img-16", "images/maintenance.py", "if today <= end:", "if True:"),
    Mutation("Img-17", "images/recipe.py", " or target in recipe.folders", ""),
]
