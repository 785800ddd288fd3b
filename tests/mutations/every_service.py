"""Rules of every service."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = [
    Mutation("GEN-1", "aws/translation.py", 'str(details.get("Code", "Unknown"))', '"ClientError"'),
    Mutation("GEN-2", "aws/access.py", "if error.code in missing:", "if error.status == 404:"),
    Mutation("GEN-3", "aws/clients.py", '"total_max_attempts": 1', '"total_max_attempts": 3'),
    Mutation(
        "GEN-4", "aws/waiting.py", "delay = min(delay * 2, longest_delay_s)", "delay = delay * 1"
    ),
    Mutation(
        "GEN-5",
        "resources/lambda_.py",
        'if error.code == "InvalidParameterValueException" and (',
        'if error.code == "InvalidParameterValueException" or (',
    ),
    Mutation("GEN-6", "aws/waiting.py", "seconds * random.uniform(0.75, 1.0)", "seconds"),
    Mutation("GEN-7", "service/rehearsal.py", "if size > high:", "if False:"),
    Mutation(
        "GEN-8", "service/outcome.py", "return None if self.remaining else True", "return True"
    ),
    Mutation(
        "GEN-8",
        "service/up.py",
        'return f"this is not as it should be: {shown}" if shown else ""',
        'return ""',
        "second_read",
    ),
    Mutation(
        "GEN-9",
        "resources/lambda_.py",
        "for name in _CONFIGURATION if changed(change, name)}",
        "for name in _CONFIGURATION}",
    ),
    Mutation("GEN-10", "engine/apply.py", "if error.code not in resource.exists or", "if True or"),
    Mutation(
        "GEN-11", "engine/compare.py", '("key", "value") if lower', '("Key", "Value") if lower'
    ),
    Mutation("GEN-12", "resources/s3.py", '{**others, **desired["tags"]}', 'desired["tags"]'),
    Mutation("GEN-16", "project/parsers.py", "if not re.fullmatch(_TAG_KEY, key):", "if False:"),
    Mutation(
        "GEN-17",
        "resources/base.py",
        "ours = {*self.tags, *self.own, *listed",
        "ours = {*self.tags, *self.own",
    ),
    Mutation(
        "GEN-13",
        "service/declare.py",
        'f"model/{name}", f"logs/{name}", "repository"]',
        'f"model/{name}", "repository"]',
    ),
    Mutation(
        "GEN-14",
        "engine/apply.py",
        "self._walk(reverse(needs_of(resources)), visit, changes)",
        "self._walk(needs_of(resources), visit, changes)",
    ),
    Mutation(
        "GEN-15",
        "service/declare.py",
        'needs=["role/workflow", "logs/workflow", *functions, *ready]',
        'needs=["logs/workflow", *functions, *ready]',
    ),
]
