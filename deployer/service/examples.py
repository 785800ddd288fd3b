"""Asking the models of a release their examples on this machine, before anything is written."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from deployer.errors import BuildError
from deployer.images.context import NO_BASE
from deployer.images.trial import Call, Outcome, Trial, trial
from deployer.project.answers import HERE, difference, refuses_values
from deployer.project.manifest import MANIFEST
from deployer.project.settings import Settings
from deployer.service.release import Release, ServedFunction

_INIT_S = 10  # Lambda's own limit of an init; a slow one counts as a call (Lambda-2)
_DEFINED_IN_TRAINING = re.compile(r"Can't get attribute '([^']+)' on <module '__main__'")
_OTHER_LIBRARIES = "was trained with scikit-learn"  # in the refusal of lambda_src/loading.py


@dataclass(frozen=True)
class Finding:
    """A model that does not answer its example as it should.

    Attributes:
        certain: False if this machine cannot tell, because the image has other libraries.
    """

    text: str
    certain: bool = True


def ask_examples(settings: Settings, release: Release, names: Collection[str]) -> list[Finding]:
    """Send each function its model's example, through the handler that its image will hold."""
    findings: list[Finding] = []
    for key, context in release.contexts.items():
        asked = [
            function
            for function in release.functions
            if function.name in names and release.image_keys.get(function.name) == key
        ]
        if not asked:
            continue
        try:
            with trial(context) as laid_out:
                outcomes = laid_out.call([_call(settings, function) for function in asked])
                for function, outcome in zip(asked, outcomes, strict=True):
                    findings += _judge(settings, release, function, laid_out, outcome)
        except BuildError as error:
            text = f"the examples could not be compared here: {error.message}"
            findings.append(Finding(text, certain=False))
    return findings


def without_example(release: Release) -> Iterator[str]:
    """Yield a line for each model whose manifest entry has no example to compare with."""
    for function in release.functions:
        if function.model.expected is None:
            yield (
                f"{MANIFEST} has no example of {function.name} with its answer: a made record was "
                "asked, and any well-formed answer counts"
            )


def _call(settings: Settings, function: ServedFunction) -> Call:
    model, limits = function.model, settings.function(function.name)
    environment = {
        "AWS_LAMBDA_FUNCTION_NAME": settings.function_name(function.name),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(limits.memory_mb),
        **model.environment("bucket", own=limits.environment),
    }
    return Call(
        environment,
        {model.key: model.path, model.signature_key: model.signature},
        model.example,
        _INIT_S + limits.timeout_s,
    )


def _judge(
    settings: Settings,
    release: Release,
    function: ServedFunction,
    laid_out: Trial,
    outcome: Outcome,
) -> Iterator[Finding]:
    """Yield what is wrong with an outcome."""
    name, model = function.name, function.model
    based = release.contexts[release.image_keys[name]].base != NO_BASE
    if outcome.error:
        # The image may have what this Python lacks.
        elsewhere = _OTHER_LIBRARIES in outcome.message or (
            outcome.module is not None and not laid_out.has_module(outcome.module)
        )
        if (based and elsewhere) or outcome.asked_others:
            text = f"{name}: its example could not be compared here: {outcome.message}"
            yield Finding(text, certain=False)
        elif not model.entry.get("example") and refuses_values(outcome.error, outcome.message):
            yield Finding(
                f"{name}: it refuses a record that was made of its features: {outcome.message}; "
                f"give it an example in {MANIFEST}",
                certain=False,
            )
        else:
            yield Finding(
                f"{name} does not answer its example: {outcome.error}: {outcome.message}"
                f"{_advice(outcome)}"
            )
        return
    records = len(model.example["instances"])
    problem = difference(outcome.answer, model.expected, records, HERE)
    if problem:
        yield Finding(f"{name} answers its example otherwise than it did when trained: {problem}")
    limit = settings.function(name).memory_mb
    if outcome.peak_mb is not None and outcome.peak_mb > limit:
        yield Finding(
            f"{name} needed {outcome.peak_mb} MB here to load and answer, and its memory_mb is "
            f"{limit}: set memory_mb = {-(-outcome.peak_mb * 5 // 4 // 64) * 64} in "
            f"[deployer:{name}] of setup.cfg"
        )


def _advice(outcome: Outcome) -> str:
    """Return what to do about an error whose message does not say it."""
    own = _DEFINED_IN_TRAINING.search(outcome.message)
    if own:
        return (
            f"; the training program itself defines {own[1]}: move it to a module of its own, "
            "lambda_src/NAME.py, import it from there, and train again"
        )
    if outcome.module:
        return (
            f"; if {outcome.module} is your own, it belongs into lambda_src/ and into a COPY of "
            "the Dockerfile; else into requirements.txt and this environment"
        )
    return ""


def texts(findings: Sequence[Finding]) -> list[str]:
    return [finding.text for finding in findings]
