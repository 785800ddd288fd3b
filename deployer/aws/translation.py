"""The one place where botocore's exceptions become the deployer's errors."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, TypeVar

from deployer.aws.foreign_answers import REACH_ADVICE, ForeignAnswer, not_aws
from deployer.aws.signin import explained, is_about_signing
from deployer.errors import AwsError, NotReached

T = TypeVar("T")


def translated(operation: str, call: Callable[[], T]) -> T:
    """Return the result of a boto3 call; raise AwsError with AWS's own code for its exceptions.

    Raises:
        AwsError: AWS or botocore refused the call.
        NoCredentials: the credentials ended just now, so the call was not made.
        NotReached: no answer, or one that does not come from AWS.
        OSError: this machine has no file descriptor left for a connection.
    """
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    name = "".join(part.capitalize() for part in operation.split("_"))
    try:
        return call()
    except exceptions.ClientError as error:
        raise _refusal(error.response, name) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        if (cause := _descriptors_used_up(error)) is not None:
            raise cause from error
        raise NotReached(
            type(error).__name__, str(error), operation=name, advice=REACH_ADVICE
        ) from error
    except ForeignAnswer as error:
        raise not_aws(str(error), name, error.status) from error
    except ResponseParserError as error:
        message = "the answer does not come from AWS, or is cut off"
        raise NotReached("ForeignAnswer", message, operation=name, advice=REACH_ADVICE) from error
    except exceptions.IncompleteReadError as error:  # of a stream, such as a function's answer
        raise NotReached(
            type(error).__name__, str(error), operation=name, advice=REACH_ADVICE
        ) from error
    except exceptions.BotoCoreError as error:
        if is_about_signing(error):
            raise explained(error) from error
        raise AwsError(type(error).__name__, str(error), operation=name) from error


def _refusal(response: Any, operation: str) -> AwsError:
    """Return the error that AWS answered with."""
    details, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    return AwsError(
        str(details.get("Code", "Unknown")),
        str(details.get("Message") or "no message"),
        operation=operation,
        status=int(metadata.get("HTTPStatusCode", 0)),
        request_id=str(metadata.get("RequestId", "")),
    )


def _descriptors_used_up(error: BaseException) -> OSError | None:
    """Return the cause if no connection was opened because file descriptors are used up."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
