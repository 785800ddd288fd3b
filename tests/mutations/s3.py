"""S3."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = [
    Mutation("S3-1", "resources/s3.py", 'if aws.region != "us-east-1":', "if True:"),
    Mutation(
        "S3-2", "resources/s3.py", "return State(read())", "return read() and None", "second_up"
    ),
    Mutation(
        "S3-3",
        "project/settings.py",
        'name = f"{self.prefix}-{self.account}-{self.region}"',
        'name = f"{self.prefix}-{self.region}"',
    ),
    Mutation(
        "S3-4",
        "resources/s3.py",
        '"s3", "delete_objects", **owner, Delete',
        '"s3", "delete_objects", Bucket=owner["Bucket"], Delete',
    ),
    Mutation(
        "S3-5", "resources/s3.py", '_FORBIDDEN = ("AccessDenied", "403")', '_FORBIDDEN = ("403",)'
    ),
    Mutation("S3-6", "service/outcome.py", "deadline_s=90", "deadline_s=0"),
    Mutation("S3-7", "resources/s3.py", 'if error.code != "BucketNotEmpty":', "if True:"),
    Mutation("S3-8", "resources/s3.py", 'answer.get("Errors", ())', "()"),
    Mutation(
        "S3-9",
        "service/down.py",
        "            prove(self.aws, self._remaining)",
        "            if self._remaining(): raise NotSettled('at once')",
    ),
    Mutation("S3-10", "resources/s3.py", 'missing=("NoSuchBucketPolicy",)', 'missing=("X",)'),
    Mutation("S3-12", "lambda_src/storage.py", "if status in (403, 404):", "if status in (403,):"),
    Mutation(
        "S3-13",
        "project/settings.py",
        'name = f"{self.prefix}-{self.account}-{self.region}"',
        'name = f"{self.prefix}-{self.account}"',
    ),
    Mutation(
        "S3-14",
        "resources/s3.py",
        "        for name in _SETTINGS:\n            self._put(aws",
        "        for name in ():\n            self._put(aws",
        "bucket",
    ),
    Mutation("S3-15", "resources/s3.py", "if tags or any(", "if True or any("),
    Mutation("S3-16", "lambda_src/storage.py", "if status in (403, 404):", "if status in (404,):"),
    Mutation("S3-18", "resources/s3.py", "if self.regional:", "if False:"),
    Mutation("S3-17", "resources/s3.py", 'file["Metadata"].get("sha256")', 'self.fields["sha256"]'),
]
