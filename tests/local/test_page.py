"""The page to try a service, in Chromium: filled in, sent and read, at both kinds of API."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from playwright.sync_api import Browser, Page, Request, ViewportSize, expect, sync_playwright

from deployer.aws.access import Aws
from deployer.local import process
from deployer.project.settings import Settings, load_settings
from deployer.resources.apigateway.rest_stage import STAGE
from deployer.service import callers, declare, keys
from deployer.service.interface.files import signed
from deployer.service.interface.page import page as page_text
from deployer.service.interface.reading import Interface
from tests.local.conftest import Service
from tests.support.accounts import connect
from tests.support.command_line import deployer
from tests.support.interfaces import ODD, RECORD
from tests.support.issuing import AUDIENCE, SCOPE, Issuer, issuing
from tests.support.projects import ROOT
from tests.support.stub import Quiet, serve

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("interface")

expect.set_options(timeout=60_000)  # the first request starts the functions
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
kinds = pytest.mark.parametrize("kind", ["http", "rest"])
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "content-type,authorization,x-api-key,x-amz-date,"
    "x-amz-security-token",
}
NUMBERS = {"one": {"sha256": "0" * 64, "features": [{"name": "x", "range": [0, 9]}]}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        assert not os.environ.get("CI"), "CI must have a browser"
        pytest.skip("no Chromium is installed")
    flags = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab, which must meet no error of JavaScript and load nothing but its own file."""
    context = browser.new_context(viewport=DESKTOP)
    tab = context.new_page()
    problems: list[str] = []
    loaded: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type != "fetch":
            loaded.append(request.url)

    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("request", note)
    yield tab
    assert not problems
    assert all(url.startswith("file://") for url in loaded)
    context.close()


def opened(page: Page, path: Path) -> Page:
    page.goto(path.as_uri())
    return page


def deployed_page(page: Page, service: Service, kind: str, folder: Path) -> Page:
    """Write the page of a deployed service by the command line, and open it."""
    path = folder / f"{kind}.html"
    options = ("--output", str(path), "--url", service.urls[kind])
    told = deployer(service.folder, "page", *options, environment={"DEPLOYER_API": kind})
    assert (
        told.out == "" and told.err.endswith(f"{path} is written\n") and "warning" not in told.err
    )
    return opened(page, path)


def made_page(page: Page, folder: Path, entries: Any, url: str = "", **values: Any) -> Page:
    """Open the page of a service that is not deployed."""
    shipped = values.pop("shipped", True)
    interface = Interface(replace(Settings(project=ROOT), **values), entries, shipped)
    path = folder / "made.html"
    path.write_text(signed(page_text(interface, url), "page"), encoding="utf-8")
    return opened(page, path)


def ask(page: Page) -> str:
    """Send the form; return the status once the answer is there."""
    page.get_by_role("button", name="Ask the models").click()
    expect(page.locator("#status")).not_to_have_text(re.compile("^(Asking|Nothing has)"))
    return page.locator("#status").inner_text()


def answer(page: Page) -> Any:
    """Return the answer as it came."""
    return json.loads(page.locator("#raw-text").text_content() or "")


# A deployed service


@pytest.mark.slow(every=2)
@kinds
def test_the_form_is_filled_in_sent_and_answered(
    page: Page, service: Service, kind: str, tmp_path: Path
) -> None:
    deployed_page(page, service, kind, tmp_path)
    page.get_by_label("region").select_option(label="</script><b>abroad")
    page.get_by_label("plan: no value (null)").check()
    expect(page.get_by_label("plan", exact=True)).to_be_disabled()
    page.get_by_label("months", exact=True).fill("12")
    page.get_by_label("gigabytes", exact=True).fill("7.50")
    page.get_by_label("vip").select_option(label="true")
    page.get_by_label(ODD).fill("0.25")
    assert re.fullmatch(r"2 models answered in [0-9.]+ ms\.", ask(page))
    entries = json.loads(answer(page)["output"]) if kind == "http" else answer(page)["results"]
    sent = {**RECORD, "region": "</script><b>abroad"}
    assert entries == predictions(service, sent)
    churn = page.locator("article", has_text="churn")
    assert entries[0]["predictions"][0] in churn.locator(".prediction").inner_text()
    for share, label in zip(entries[0]["probabilities"][0], ("leaves", "stays"), strict=True):
        row = churn.get_by_role("listitem").filter(has_text=label)
        expect(row).to_contain_text(f"{share * 100:.1f} %")
        bar, track = (row.locator(one).bounding_box() for one in (".bar", ".track"))
        assert bar and track and bar["width"] / track["width"] == pytest.approx(share, abs=0.01)
    number = page.locator("article", has_text="spend").locator(".prediction").inner_text()
    assert float(number) == pytest.approx(entries[1]["predictions"][0], rel=1e-5)
    if kind == "http":
        assert '"gigabytes": 7.50' in answer(page)["input"]  # digits are sent as they are typed


def predictions(service: Service, record: Mapping[str, Any]) -> Any:
    return deployer(
        service.folder, "invoke", "--local", "--json", "--data", json.dumps(record)
    ).json


@pytest.mark.slow
@kinds
def test_the_shown_curl_line_gets_the_same_answer(
    page: Page, service: Service, kind: str, tmp_path: Path
) -> None:
    deployed_page(page, service, kind, tmp_path)
    ask(page)
    page.get_by_text("The same by curl").click()
    shown = page.locator("#curl-text").inner_text()
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(["sh", "-c", shown], capture_output=True, text=True, check=True)
    by_curl, by_page = json.loads(done.stdout), answer(page)
    member = "output" if kind == "http" else "results"
    assert by_curl[member] == by_page[member]


@pytest.mark.slow
@kinds
def test_what_the_service_refuses_is_told_in_words(
    page: Page, service: Service, kind: str, tmp_path: Path
) -> None:
    deployed_page(page, service, kind, tmp_path)
    page.get_by_label("JSON", exact=True).check()
    request = page.get_by_label("Request as JSON")
    assert json.loads(request.input_value()).keys() == RECORD.keys()
    request.fill('{"instances": [{"months": 1}]}')
    assert ask(page).startswith("The service refuses the input.")
    expect(page.locator("#results")).to_contain_text("gigabytes: missing")
    request.fill(json.dumps({"instances": [RECORD, RECORD]}))
    assert ask(page).startswith("2 models answered")
    assert page.get_by_text("Record 2").count() == 2
    page.get_by_label("URL", exact=True).fill(service.urls[kind] + "elsewhere")
    # A REST API answers the browser's question, too, with 404, and so the page learns no more.
    words = {"http": "There is no such path", "rest": "The service cannot be reached"}
    assert ask(page).startswith(words[kind])


def test_the_page_works_by_keyboard_and_says_what_is_wrong(
    page: Page, service: Service, tmp_path: Path
) -> None:
    deployed_page(page, service, "rest", tmp_path)
    order = []
    for _ in range(9):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
    assert order[:4] == ["url", "form", "feature-0", "feature-1"]
    months = page.get_by_label("months", exact=True)
    months.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("1.5")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("Nothing was sent")
    expect(months).to_be_focused()
    expect(months).to_have_attribute("aria-invalid", "true")
    expect(months).to_have_accessible_description(re.compile("months.*1 to 60.*whole number"))
    page.keyboard.press("Control+A")
    page.keyboard.type("99")
    expect(months).to_have_accessible_description(re.compile("Outside the range of the training"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("2 models answered")
    page.get_by_role("button", name="Example values").press("Space")
    expect(months).to_have_value("30")
    expect(page.get_by_label("URL", exact=True)).to_have_value(service.urls["rest"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
def test_axe_finds_nothing_and_nothing_overflows(
    page: Page, service: Service, tmp_path: Path, size: Any, scheme: Any
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    deployed_page(page, service, "http", tmp_path)
    page.get_by_label("months", exact=True).fill("x")
    ask(page)
    check_access(page)
    page.get_by_label("months", exact=True).fill("99")
    ask(page)
    for details in page.locator("summary").all():
        details.click()
    check_access(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    heights = page.locator("input:not([type=radio], [type=checkbox]), select, button")
    boxes = [one.bounding_box() for one in heights.all() if one.is_visible()]
    assert all(box and box["height"] >= 44 for box in boxes)


def check_access(page: Page) -> None:
    """Let axe look at the page: all its rules, those of best practice too."""
    found = Axe().run(page).response["violations"]
    assert not found, [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


# Pages of services that are not deployed


def test_names_of_the_users_stay_text(page: Page, tmp_path: Path) -> None:
    evil = '<img src=x onerror="document.title=1"></script><!--'
    feature = {"name": evil, "unit": evil, "description": evil, "type": "string"}
    categories = {"name": f"{evil}2", "type": "string", "categories": [evil, "b"]}
    model = {"sha256": "0" * 64, "features": [feature, categories], "input": "table"}
    made_page(page, tmp_path, {"one": model})
    assert page.title() == "Try inference-dev"
    assert page.locator("img").count() == 0 and page.locator("script").count() == 2
    expect(page.get_by_label(evil, exact=True)).to_have_value("text")
    assert page.locator("option").first.inner_text() == evil
    check_access(page)


def test_only_the_pages_own_script_runs(page: Page, tmp_path: Path) -> None:
    made_page(page, tmp_path, NUMBERS)
    policy = page.locator("meta[http-equiv]").get_attribute("content") or ""
    assert "default-src 'none'" in policy and "unsafe" not in policy
    page.evaluate(
        "document.head.append(document.createElement('script'));"
        "document.head.lastChild.text = 'window.ran = 1'"
    )
    assert page.evaluate("window.ran") is None


def test_the_models_to_ask_choose_the_features(page: Page, tmp_path: Path) -> None:
    entries = {
        "price": {"sha256": "0" * 64, "features": [{"name": "x"}, {"name": "y"}]},
        "mood": {
            "sha256": "0" * 64,
            "input": "text",
            "features": [{"name": "words", "type": "string"}],
        },
    }
    made_page(page, tmp_path, entries, "http://127.0.0.1:9/")
    assert page.get_by_label("words").evaluate("one => one.tagName") == "TEXTAREA"
    page.get_by_label("price").uncheck()
    expect(page.get_by_label("x", exact=True)).to_be_hidden()
    page.get_by_label("words").fill("it's\nfine")
    curl = page.locator("#curl-text").text_content() or ""
    assert curl.endswith("""-d '{"words": "it'\\''s\\nfine"}'""")
    page.get_by_label("mood").uncheck()
    assert ask(page).startswith("Nothing was sent")
    expect(page.get_by_label("price")).to_be_focused()
    expect(page.get_by_text("Choose at least one model.")).to_be_visible()


def test_a_workflow_of_ones_own_is_asked_in_json(page: Page, tmp_path: Path) -> None:
    with serve(answering(200, {"price": 12.5, "list": [1]})) as url:
        made_page(page, tmp_path, NUMBERS, url, shipped=False, api="rest")
        expect(page.get_by_label("x", exact=True)).to_be_hidden()
        assert json.loads(page.get_by_label("Request as JSON").input_value()) == {"x": 4.5}
        assert ask(page).startswith("Answered in ")
        expect(page.locator("#results")).to_contain_text('"price": 12.5')
        page.get_by_label("Request as JSON").fill("{")
        assert ask(page).startswith("Nothing was sent")


class Api(Quiet):
    """Answers every POST in the same way, and allows pages every header that they may send."""

    status = 200
    reply: Any = None
    seen: list[tuple[dict[str, str], bytes]]

    def handle_any(self) -> None:
        content = self.body()
        self.seen.append(({name.lower(): text for name, text in self.headers.items()}, content))
        self.answer(self.status, json.dumps(self.reply).encode(), CORS)

    def do_OPTIONS(self) -> None:
        self.answer(204, b"", CORS)


def answering(status: int, reply: Any) -> type[Api]:
    return type("Answering", (Api,), {"status": status, "reply": reply, "seen": []})


WORKFLOW = {"model": "one", "version": "0" * 12}
MEMBERS: list[tuple[dict[str, Any], str]] = [
    (
        {"predictions": [[1.23456789, 2]], "targets": ["buy", "rent"]},
        "buy: 1.23457, rent: 2",
    ),
    ({"error": "Sandbox.Timedout"}, "This model failed: Sandbox.Timedout"),
    ({"skipped": "its feature y is not given"}, "Not asked: its feature y is not given."),
    ({"predictions": [-1], "scores": [-0.5]}, "scores: -0.5"),
    ({"transformed": [list(range(20))]}, "9, 10, 11 and 8 more"),
    (
        {"predictions": [3], "classes": list(range(30)), "probabilities": [[1 / 30] * 30]},
        "and 18 more classes",
    ),
    (
        {
            "predictions": [["a", "u"]],
            "classes": [["a", "b"], ["u", "v"]],
            "probabilities": [[[0.75, 0.25], [0.5, 0.5]]],
        },
        "target 2",
    ),
]


def test_each_kind_of_answer_is_shown(page: Page, tmp_path: Path) -> None:
    api = answering(200, None)
    with serve(api) as url:
        made_page(page, tmp_path, NUMBERS, url)
        for members, text in MEMBERS:
            api.reply = {"status": "SUCCEEDED", "output": json.dumps([{**WORKFLOW, **members}])}
            assert " answered in " in ask(page)
            expect(page.locator("article")).to_contain_text(text)


def error(kind: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": "why"}}


def failed(status: str, name: str) -> dict[str, Any]:
    return {"status": status, "error": name, "cause": "why"}


# By kind of API: status and body of an answer, and words of the page.
FAILURES: dict[str, list[tuple[int, Any, str]]] = {
    "http": [
        (200, failed("FAILED", "Odd"), "The workflow failed: Odd."),
        (200, failed("FAILED", "constructor"), "The workflow failed: constructor."),
        (200, failed("FAILED", "NoModelAnswered"), "No model could answer"),
        (200, failed("TIMED_OUT", "States.Timeout"), "did not answer in time"),
        (400, {"__type": "InvalidExecutionInput", "message": "why"}, "it is not JSON. (HTTP 400)"),
        (401, {"message": "why"}, "The service asks for a token"),
        (429, {"message": "why"}, "Too many requests"),
        (200, {"hello": 1}, "This is no answer of the service"),
    ],
    "rest": [
        (500, error("Odd"), "The workflow failed: Odd. (HTTP 500)"),
        (502, error("NoModelAnswered"), "No model could answer"),
        (403, {"message": "why"}, "The service denies access"),
        (413, error("TooLarge"), "The input is too large."),
        (504, error("TimedOut"), "did not answer in time"),
    ],
}


@kinds
def test_each_failure_is_told_in_words(page: Page, tmp_path: Path, kind: str) -> None:
    api = answering(200, None)
    with serve(api) as url:
        made_page(page, tmp_path, NUMBERS, url, api=kind)
        for api.status, api.reply, words in FAILURES[kind]:
            assert words in ask(page)
            expect(page.locator("#status")).to_have_class("bad")
            if "hello" not in api.reply:
                expect(page.locator("#results")).to_have_text("why")


def test_a_service_that_is_not_there_or_forbids_pages_is_told(page: Page, tmp_path: Path) -> None:
    made_page(page, tmp_path, NUMBERS, "http://127.0.0.1:9/")
    assert ask(page).startswith("The service cannot be reached from this page.")
    page.get_by_label("URL", exact=True).fill("shop")
    assert ask(page).startswith("Nothing was sent")
    expect(page.get_by_label("URL", exact=True)).to_be_focused()


@pytest.mark.parametrize(
    ("auth", "api", "label", "header", "value", "words"),
    [
        ("key", "rest", "API key", "x-api-key", "s3cret", '-H "x-api-key: $DEPLOYER_API_KEY"'),
        ("jwt", "http", "Token", "authorization", "Bearer s3cret", "Bearer $DEPLOYER_TOKEN"),
    ],
)
def test_a_key_or_a_token_is_sent_and_kept_nowhere(
    page: Page, tmp_path: Path, auth: str, api: str, label: str, header: str, value: str, words: str
) -> None:
    entries = [{**WORKFLOW, "predictions": [1]}]
    record = {"status": "SUCCEEDED", "output": json.dumps(entries)}
    service = answering(200, {"results": entries} if api == "rest" else record)
    with serve(service) as url:
        made_page(page, tmp_path, NUMBERS, url, auth=auth, api=api)
        assert ask(page).startswith("Nothing was sent")
        expect(page.get_by_label(label)).to_be_focused()
        description = "The service asks for this."
        expect(page.get_by_label(label)).to_have_accessible_description(description)
        expect(page.get_by_label(label)).to_have_attribute("type", "password")
        page.get_by_label(label).fill("s3cret")
        assert ask(page).startswith("1 model answered")
        check_access(page)
    ((headers, _),) = service.seen
    assert headers[header] == value
    assert words in (page.locator("#curl-text").text_content() or "")
    assert "s3cret" not in page.content()
    stored = page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")
    assert stored == [0, 0, ""]


# By `auth`: the kind of API, what is typed and is wrong, and words of the page about it.
GUARDED = [
    ("key", "rest", {"API key": "k" * 20}, "The service denies access"),
    ("jwt", "http", {"Token": "a.b.c"}, "this one is missing, wrong or expired. (HTTP 401)"),
    ("iam", "http", {"Access key id": "AKID", "Secret access key": "s"}, "denies access"),
]


def guarded_url(aws: Aws, settings: Settings, workflow: str) -> str:
    """Make an API that asks for credentials, over the deployed workflow; return its URL."""
    kind: Any = declare.api(settings)
    fields = json.loads(json.dumps(kind.fields).replace(settings.workflow_arn, workflow))
    outputs = kind.create(aws, fields)
    if settings.auth == "key":
        plan: Any = callers.usage_plan(settings)
        stages = [{"api_id": outputs["api_id"], "stage": STAGE}]
        plan.create(aws, {**plan.fields, "stages": stages})
    return f"{outputs['endpoint']}/"


@pytest.mark.parametrize(
    ("auth", "api", "wrong", "words"), GUARDED, ids=[one[0] for one in GUARDED]
)
def test_an_api_that_asks_for_credentials_refuses_wrong_ones_in_words_and_takes_right_ones(
    page: Page, service: Service, tmp_path: Path, auth: str, api: str, wrong: Any, words: str
) -> None:
    server = process.find(service.folder)
    assert server is not None
    aws = connect(server)
    base = load_settings(service.folder, {}, {}).located(
        account=process.ACCOUNT, partition="aws", region=process.REGION
    )
    with issuing() as issuer:
        tokens = replace(base, jwt_issuer=issuer.url, jwt_audience=(AUDIENCE,), jwt_scopes=(SCOPE,))
        settings = replace(tokens, service=f"page-{auth}", api=api, auth=auth)
        url = guarded_url(aws, settings, base.workflow_arn)
        opened(page, written_page(service.folder, settings, url, tmp_path))
        assert ask(page).startswith("Nothing was sent")
        for label, text in wrong.items():
            page.get_by_label(label).fill(text)
        assert words in ask(page)
        expect(page.locator("#status")).to_have_class("bad")
        for label, text in right(aws, settings, server, issuer).items():
            page.get_by_label(label).fill(text)
        assert re.match("[12] models? answered in ", ask(page))


def written_page(folder: Path, settings: Settings, url: str, into: Path) -> Path:
    """Write the page of a service by the command line."""
    path = into / "guarded.html"
    environment = {
        "DEPLOYER_API": settings.api,
        "DEPLOYER_AUTH": settings.auth,
        "DEPLOYER_REGION": process.REGION,
    }
    if settings.auth == "jwt":
        environment["DEPLOYER_JWT_ISSUER"] = settings.jwt_issuer or ""
        environment["DEPLOYER_JWT_AUDIENCE"] = AUDIENCE
    deployer(folder, "page", "--output", str(path), "--url", url, environment=environment)
    return path


def right(
    aws: Aws, settings: Settings, server: process.Server, issuer: Issuer
) -> Mapping[str, str]:
    """Return credentials that are taken, by their labels."""
    if settings.auth == "key":
        return {"API key": keys.create(aws, settings, "page").value}
    if settings.auth == "jwt":
        return {"Token": issuer.token()}
    access, secret = server.credentials
    return {"Access key id": access, "Secret access key": secret}


ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG"


def check_signature(address: str, sent: Mapping[str, str], body: bytes, session: str) -> None:
    """Check a request's signature against botocore's of the same request."""
    request = AWSRequest("POST", address, {"content-type": "application/json"}, body)
    request.context["timestamp"] = request.headers["X-Amz-Date"] = sent["x-amz-date"]
    if session:
        request.headers["X-Amz-Security-Token"] = session
    signer = SigV4Auth(Credentials(ACCESS, SECRET, session or None), "execute-api", "eu-central-1")
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert sent["authorization"].endswith(f"Signature={signature}"), canonical
    assert sent.get("x-amz-security-token") == (session or None)


@pytest.mark.parametrize("session", ["", "t0ken"])
def test_a_signature_is_that_of_botocore(page: Page, tmp_path: Path, session: str) -> None:
    service = answering(200, {"status": "SUCCEEDED", "output": "[]"})
    with serve(service) as url:
        made_page(page, tmp_path, NUMBERS, auth="iam", region="eu-central-1")
        page.get_by_label("Access key id").fill(ACCESS)
        page.get_by_label("Secret access key").fill(SECRET)
        page.get_by_label("Session token").fill(session)
        page.get_by_label("URL", exact=True).fill(f"{url}/live/a b(1)/")
        assert ask(page).startswith("Answered in ")
        check_signature(f"{url}/live/a%20b(1)/", *service.seen.pop(), session)
        page.get_by_label("URL", exact=True).fill(f"{url}/live/")
        shown = page.locator("#curl-text").text_content() or ""
        assert SECRET not in shown and "t0ken" not in shown
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        values = dict(zip(names, (ACCESS, SECRET, session), strict=True))
        subprocess.run(["sh", "-c", shown], env={**os.environ, **values}, check=True)
        check_signature(f"{url}/live/", *service.seen.pop(), session)
