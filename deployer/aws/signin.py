"""Open the session with AWS and sign in; explain what fails there.

botocore finds credentials in many ways. Each runs programs, reads files or asks servers of its own,
and fails with errors of its own. All that botocore raises while credentials are looked for or
renewed becomes NoCredentials here.
"""

from __future__ import annotations

import json
from typing import Any

from deployer.aws.botocore_patches import NoTerminal, patch
from deployer.errors import LOCAL_ADVICE, NoCredentials

# Names of botocore's exceptions; older versions lack some of them.
_EXPIRED = {
    "LoginRefreshRequired",
    "LoginTokenLoadError",
    "PendingAuthorizationExpiredError",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}
_ABSENT = {"NoCredentialsError", "PartialCredentialsError"}
_Reason = tuple[str, str, str]  # an error code, what happened, advice


def open_session(
    region: str | None, profile: str | None, credentials: tuple[str, str] | None
) -> Any:
    """Return a boto3 session; raise NoCredentials when the AWS configuration is unsound."""
    import boto3
    import botocore.session

    access_key, secret = credentials or (None, None)
    try:
        core = botocore.session.Session()
        session = boto3.Session(
            botocore_session=core,
            region_name=region,
            profile_name=profile,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
        )
        patch(core)
    except Exception as error:
        raise explained(error, profile) from error
    return session


def sign_in(session: Any) -> None:
    """Find the credentials, or renew them if that is due; raise NoCredentials without any."""
    try:
        credentials = session.get_credentials()
        if credentials is not None:
            _check_characters(credentials.get_frozen_credentials())
    except Exception as error:
        raise explained(error, session.profile_name) from error
    if credentials is None:
        raise _absent("unable to locate credentials")


def _check_characters(credentials: Any) -> None:
    """Refuse characters that a header cannot hold, mostly a copied line break; show no secret."""
    for name in ("access_key", "secret_key", "token"):
        value = getattr(credentials, name) or ""
        if not value.isascii() or not value.isprintable() or value != value.strip():
            raise ValueError(
                f"the {name.replace('_', ' ')} holds a line break, a blank or another character "
                f"that is not allowed in it"
            )


def is_about_signing(error: Exception) -> bool:
    """Tell whether a call failed because there were no valid credentials to sign it with."""
    return type(error).__name__ in _EXPIRED | _ABSENT


def explained(error: Exception, profile: str | None = None) -> NoCredentials:
    """Return, in one line, why signing in failed. `profile` is the profile in use."""
    named = profile if profile and profile != "default" else ""
    whose = f"profile {named}: " if named else ""
    if type(error).__name__ in _ABSENT:
        return _absent(f"{whose}{str(error)[:1].lower()}{str(error)[1:]}")
    code, text, advice = (
        _refused(error)
        or _expired(error, named)
        or _not_run_or_read(error)
        or _wrong_configuration(error)
    )
    return NoCredentials(code, f"{whose}{text}", advice=advice)


def _absent(text: str) -> NoCredentials:
    return NoCredentials(
        "NoCredentials", text, advice=f"sign in, or set AWS_PROFILE or --profile; {LOCAL_ADVICE}"
    )


def _refused(error: Exception) -> _Reason | None:
    """Explain an error that STS or the sign-in service answered with."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict) or "Error" not in response:
        return None
    details = response["Error"]
    return str(details.get("Code")), str(details.get("Message")), ""


def _expired(error: Exception, profile: str) -> _Reason | None:
    if type(error).__name__ in _EXPIRED:
        option = f" --profile {profile}" if profile else ""
        return "ExpiredToken", str(error), f"sign in: aws sso login{option}"
    # RefreshableCredentials raises it, for lack of a class of its own.
    return ("ExpiredToken", str(error), "") if isinstance(error, RuntimeError) else None


def _not_run_or_read(error: Exception) -> _Reason | None:
    """Explain a program, file or terminal that cannot be used."""
    if isinstance(error, NoTerminal):
        advice = "run it in a terminal, or sign in elsewhere and use the temporary credentials"
        return "NoTerminal", str(error), advice
    if isinstance(error, json.JSONDecodeError):
        text = f"its credential_process, or a file of tokens, holds no JSON: {error}"
        return "NoJson", text, ""
    if isinstance(error, OSError):
        file = f": {error.filename}" if error.filename else ""
        reason = f"{error.strerror or error}{file}"
        text = f"it names a program or file that cannot be run or read: {reason}"
        return type(error).__name__, text, ""
    return None


def _wrong_configuration(error: Exception) -> _Reason:
    name = type(error).__name__
    text = str(error).rstrip(": ")
    if isinstance(error, (KeyError, TypeError, AttributeError)):
        text = f"its configuration, its credential_process or a file has the wrong shape: {text}"
    if name == "CredentialRetrievalError" and str(error).endswith(": "):
        text += ": the program failed and said nothing"
    advice = (
        f"look at the profile in the AWS configuration (AWS_CONFIG_FILE, ~/.aws/config); "
        f"{LOCAL_ADVICE}"
    )
    return name, text, advice
