"""The local AWS on a developer's machine: it refuses strangers, and no client stalls it."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.errors import AwsError
from deployer.local import process
from deployer.local.guard import Guard, is_own_host
from deployer.local.server import hold
from deployer.local.webserver import REQUEST_S, make_server
from tests.support.accounts import connect, reset
from tests.support.command_line import deployer as deploy
from tests.support.processes import children_of, deployer

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("local guard")

SAMPLE = (Path(__file__).parents[2] / "samples" / "boston_housing.json").read_bytes()


def ask(
    server: process.Server, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Make one request with exactly these headers; the signature is `signed=True`."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {"Host": f"127.0.0.1:{server.port}", **given})
    response = connection.getresponse()
    answer = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return answer


def signed(server: process.Server) -> str:
    return (
        f"AWS4-HMAC-SHA256 "
        f"Credential={server.credentials.access_key}/20260101/us-east-1/sts/aws4_request, "
        f"Signature=0"
    )


WHO = b"Action=GetCallerIdentity&Version=2011-06-15"
FORM = "application/x-www-form-urlencoded"


def test_whoever_has_the_key_is_answered_by_either_name_of_this_machine(
    server: process.Server,
) -> None:
    for host in (f"127.0.0.1:{server.port}", f"localhost:{server.port}"):
        status, _, body = ask(
            server, "POST", "/", WHO, Host=host, Authorization=signed(server), Content_Type=FORM
        )
        assert status == 200 and b"123456789012" in body


def test_the_name_to_which_clients_send_synchronous_executions_is_this_machines_too() -> None:
    """Sfn-22: for a client that puts `sync-` before the name of an endpoint."""
    for host in ("sync-127.0.0.1:8080", "sync-localhost:8080"):
        assert is_own_host(8080, host)
    for other in ("sync-evil.example:8080", "sync-sync-localhost:8080", "sync-localhost", None):
        assert not is_own_host(8080, other)


def test_a_client_of_this_environment_puts_no_prefix_before_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import boto3

    credentials = process.Credentials("key", "secret")
    server = process.Server(1, 8080, Path("/x"), credentials)
    for name, value in server.environment("us-east-1").items():
        monkeypatch.setenv(name, value)
    config = boto3.Session().client("stepfunctions").meta.config
    assert config.inject_host_prefix is False


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:{port}", ""],
)
def test_another_host_is_misdirected_even_with_the_key(server: process.Server, host: str) -> None:
    """DNS rebinding: the page's own name leads here."""
    name = host.format(port=server.port)
    for path in ("/", "/_deployer/health", "/moto-api/reset", "/2015-03-31/functions"):
        assert ask(server, "POST", path, WHO, Host=name, Authorization=signed(server))[0] == 421


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"]
)
def test_no_page_reaches_the_control_plane(server: process.Server, origin: str) -> None:
    assert ask(server, "POST", "/", WHO, Origin=origin, Authorization=signed(server))[0] == 403
    assert ask(server, "PUT", "/bucket/key", b"x", Origin=origin)[0] == 403


@pytest.mark.parametrize("credential", ["", "AKIDEXAMPLE", "LKIA" + "A" * 16])
@pytest.mark.parametrize(
    ("service", "path"),
    [("sts", "/"), ("s3", "/bucket/key"), ("lambda", "/2015-03-31/functions"), ("states", "/")],
)
def test_without_the_key_nothing_is_told(
    server: process.Server, credential: str, service: str, path: str
) -> None:
    authorization = (
        f"AWS4-HMAC-SHA256 "
        f"Credential={credential}/20260101/us-east-1/{service}/aws4_request, Signature=0"
    )
    for extra in (
        {"Authorization": authorization} if credential else {},
        {"X_Amz_Target": "AWSStepFunctions.ListStateMachines"},
    ):
        status, _, body = ask(server, "POST", path, b"{}", **extra)
        assert status == 403 and b"security token" in body


@pytest.mark.parametrize(
    "path", ["/moto-api/reset", "/moto-api/data.json", "/moto-api/", "/moto-api"]
)
def test_motos_own_interface_is_not_there(server: process.Server, path: str) -> None:
    assert ask(server, "POST", path, Authorization=signed(server))[0] == 404
    assert ask(server, "POST", path)[0] in (403, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/_apis",
        "/_apis/",
        "/_apis/NOAPI/",
        "/_apis/x y",
        "//_apis/abc",
        "/_apis/abc/../../moto-api/reset",
        "/_apis%2fabc",
    ],
)
def test_nothing_that_only_looks_like_an_api_gets_past_the_guard(
    server: process.Server, path: str
) -> None:
    status, headers, body = ask(server, "POST", path.replace(" ", "%20"))
    assert status in (403, 404) and headers["Content-Type"] == "application/json", body


def test_a_client_with_another_key_is_told_what_to_do_in_its_services_words(
    server: process.Server,
) -> None:
    stranger = process.Server(
        server.pid, server.port, server.log, process.Credentials("LKIAOTHER", "x")
    )
    for service, operation, code in (
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("lambda", "list_functions", "UnrecognizedClientException"),
        ("logs", "describe_log_groups", "UnrecognizedClientException"),
    ):
        with pytest.raises(AwsError) as error:
            connect(stranger).call(service, operation)
        assert error.value.code == code and "env --local" in str(error.value)


def test_the_record_and_its_folder_are_for_their_owner_alone(server: process.Server) -> None:
    home = server.log.parent
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "server.json").stat().st_mode) == 0o600
    known = json.loads((home / "server.json").read_text())
    assert known["access_key"] == server.credentials.access_key and known["secret_key"]


def test_each_server_has_a_key_of_its_own() -> None:
    assert len({process.new_credentials() for _ in range(100)}) == 100


def test_env_prints_what_lets_any_client_in(deployed: Path) -> None:
    printed = deployer(deployed, "env", "--local")
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    command = f'eval "$(cat)"; {sys.executable} -c "{program}"'
    done = subprocess.run(["sh", "-c", command], input=printed.out, capture_output=True, text=True)
    assert done.stdout == "123456789012\n", done.stderr
    variables = deployer(deployed, "env", "--local", "--json").json
    assert {line.split("=")[0].removeprefix("export ") for line in printed.out.splitlines()} == set(
        variables
    )
    assert "add --local" in deployer(deployed, "env", code=2).err


def test_a_signed_url_opens_a_layer_and_nothing_else_does(server: process.Server) -> None:
    assert ask(server, "GET", "/_layers/sha256:0")[0] == 403
    assert (
        ask(server, "GET", f"/_layers/sha256:0?AWSAccessKeyId={server.credentials.access_key}")[0]
        == 404
    )


# What a Runtime API answers is for the function's own process


def count(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


def runtime_ports(pid: int) -> list[int]:
    """The ports on which a process listens, by /proc."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [
        int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes
    ]


def test_the_runtime_api_answers_the_functions_process_alone(deployed: Path) -> None:
    if not Path("/proc/net/tcp").exists():
        pytest.skip("who is at the other end of a connection is known on Linux only")
    deploy(deployed, "invoke", "--sample", "--local")
    server = process.find(deployed)
    assert server is not None and len(children_of(server.pid)) >= 3
    ports = [port for port in runtime_ports(server.pid) if port != server.port]
    assert len(ports) >= 3
    next_path = "/2018-06-01/runtime/invocation/next"
    for port in ports:  # this very user, but another process, as a page in a browser is
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            connection.request("GET", next_path)
            connection.getresponse()
        connection.close()
    before = count(f"/proc/{server.pid}/fd")
    idle = [socket.create_connection(("127.0.0.1", ports[0])) for _ in range(5)]
    assert all(each.recv(1) == b"" for each in idle)
    for each in idle:
        each.close()
    assert count(f"/proc/{server.pid}/fd") <= before + 1
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    program = (
        f"import encodings.idna, os, http.client; os.setuid({pwd.getpwnam('nobody').pw_uid})\n"
        f"c = http.client.HTTPConnection('127.0.0.1', {ports[0]}, timeout=10)\n"
        f"c.request('GET', '{next_path}')\ntry:\n    print(c.getresponse().status)\n"
        "except (http.client.RemoteDisconnected, ConnectionError):\n    print('closed')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "closed\n", done.stderr
    assert deploy(deployed, "invoke", "--sample", "--local").code == 0


# Requests that are no whole requests


def raw(server: process.Server, content: bytes, timeout_s: float = 20) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout_s) as connection:
        connection.sendall(content)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


@pytest.fixture(scope="module")
def api(deployed: Path) -> Iterator[tuple[process.Server, str]]:
    server = process.find(deployed)
    assert server is not None
    url = deploy(deployed, "plan", "--local", "--json").json["outputs"]["url"]
    yield server, url.removeprefix(server.url)


def test_half_a_request_stalls_nobody_else(deployed: Path, api: tuple[process.Server, str]) -> None:
    server, path = api
    stalled = []
    for target in ["/", path, "/bucket/key"] * 20:
        connection = socket.create_connection(("127.0.0.1", server.port))
        head = (
            f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: "
            f"{signed(server)}\r\n"
        )
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\nhalf".encode())
        stalled.append(connection)
    begun = time.monotonic()
    assert connect(server).call("sts", "get_caller_identity")["Account"] == "123456789012"
    assert json.loads(ask(server, "POST", path, SAMPLE)[2])["status"] == "SUCCEEDED"
    assert time.monotonic() - begun < 10
    for connection in stalled:
        connection.close()


def test_a_chunked_body_is_read_whole(api: tuple[process.Server, str]) -> None:
    server, path = api
    half = len(SAMPLE) // 2
    chunks = b"".join(
        f"{len(part):x}\r\n".encode() + part + b"\r\n"
        for part in (SAMPLE[:half], SAMPLE[half:], b"")
    )
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: "
        f"close\r\n\r\n"
    )
    answer = raw(server, head.encode() + chunks)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("Content-Length: -1", 400),
        ("Content-Length: abc", 400),
        ("Content-Length: 1e3", 400),
        ("Content-Length: +5", 400),
        ("Content-Length: 99999999999999", 413),
        ("Content-Length: 5\r\nContent-Length: 6", 400),
        ("Transfer-Encoding: gzip", 501),
        ("Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
def test_an_impossible_body_is_refused_in_json(
    api: tuple[process.Server, str], head: str, status: int
) -> None:
    server, path = api
    answer = raw(server, f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{{}}".encode())
    headers, _, body = answer.partition(b"\r\n\r\n")
    assert headers.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert b"content-type: application/json" in headers.lower() and json.loads(body)["message"]


@pytest.mark.parametrize(
    "content",
    [b"\r\n\r\n", b"no http at all\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n"],
)
def test_what_is_no_http_ends_no_server(api: tuple[process.Server, str], content: bytes) -> None:
    server, path = api
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)
    assert json.loads(ask(server, "POST", path, SAMPLE)[2])["status"] == "SUCCEEDED"


@pytest.mark.parametrize("depth", [251, 500, 900, 1000, 20_000])
def test_endless_nesting_is_refused_as_an_input(
    api: tuple[process.Server, str], depth: int
) -> None:
    server, path = api
    status, _, body = ask(server, "POST", path, b"[" * depth + b"]" * depth)
    assert (status, json.loads(body)["__type"]) == (400, "InvalidExecutionInput")
    status, _, body = ask(server, "POST", path, b'{"a":' * depth + b"1" + b"}" * depth)
    assert (status, json.loads(body)["__type"]) == (400, "InvalidExecutionInput")


@pytest.mark.parametrize("depth", [2, 50, 249])
def test_deep_nesting_is_the_contracts_matter(api: tuple[process.Server, str], depth: int) -> None:
    server, path = api
    status, _, body = ask(server, "POST", path, b"[" * depth + b"]" * depth)
    record = json.loads(body)
    assert (status, record["error"]) == (200, "InvalidInput") and "Recursion" not in record["cause"]


@pytest.mark.parametrize(
    "number", ["1e309", "1e400", "-1e999", "9" * 400, "9" * 5000, f"{'9' * 400}.5"]
)
def test_a_number_beyond_floats_is_the_contracts_matter(
    api: tuple[process.Server, str], number: str
) -> None:
    server, path = api
    body = json.dumps({**json.loads(SAMPLE), "CRIM": 77}).replace("77", number, 1).encode()
    record = json.loads(ask(server, "POST", path, body)[2])
    assert (record["error"], record["cause"]) == ("InvalidInput", "CRIM: larger than 3.4e38")


def test_an_error_of_the_local_aws_itself_is_json_too(
    deployed: Path, api: tuple[process.Server, str]
) -> None:
    """An integration with impossible settings: a client gets JSON, whatever fails inside."""
    server, path = api
    aws = connect(server)
    found = aws.call("apigatewayv2", "get_apis")["Items"][0]["ApiId"]
    integration = aws.call("apigatewayv2", "get_integrations", ApiId=found)["Items"][0][
        "IntegrationId"
    ]
    broken: Any = {"StateMachineArn": "arn:broken", "Input": "$request.body"}
    aws.call(
        "apigatewayv2",
        "update_integration",
        ApiId=found,
        IntegrationId=integration,
        RequestParameters=broken,
    )
    status, headers, body = ask(server, "POST", path, SAMPLE)
    assert status >= 400 and headers["Content-Type"] == "application/json" and json.loads(body)
    deploy(deployed, "up", "--local")
    assert json.loads(ask(server, "POST", path, SAMPLE)[2])["status"] == "SUCCEEDED"


def test_a_guard_knows_its_own_port_alone() -> None:
    guard = Guard(4000, "KEY")
    good = {
        "HTTP_HOST": "localhost:4000",
        "PATH_INFO": "/",
        "HTTP_AUTHORIZATION": "AWS4 Credential=KEY/x",
    }
    assert guard.refusal(good) is None
    assert guard.refusal({**good, "HTTP_ORIGIN": "http://localhost:4000"}) is None
    for change in (
        {"HTTP_HOST": "localhost:4001"},
        {"HTTP_ORIGIN": "http://localhost:4001"},
        {"HTTP_AUTHORIZATION": "KEY"},
    ):
        assert guard.refusal({**good, **change}) is not None


def test_many_clients_at_once_are_answered_and_leave_no_memory_behind(
    server: process.Server,
) -> None:
    """Counts live threads: the memory of their requests is glibc's to return."""
    reset(server)
    before = count(f"/proc/{server.pid}/task") if Path("/proc").exists() else 0
    for _ in range(3):
        sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        assert connect(server).call("sts", "get_caller_identity")["Account"] == "123456789012"
        for each in sockets:
            each.close()
    if before:
        assert count(f"/proc/{server.pid}/task") <= before + 1


# What costs the server more than it costs a client


def quickly(server: process.Server, content: bytes) -> bytes:
    """Send something, and check that it and another client are answered at once."""
    begun = time.monotonic()
    try:
        answer = raw(server, content)
    except ConnectionResetError:  # it does not read what is too long to the end
        answer = b'HTTP/1.1 431 too large\r\n\r\n{"message": "reset"}'
    assert connect(server).call("sts", "get_caller_identity")["Account"] == "123456789012"
    assert time.monotonic() - begun < 5
    return answer


@pytest.mark.parametrize(
    "line",
    [
        "GET a://" + "1" * 50_000 + " x HTTP/1.1",
        "GET /a://" + "1" * 50_000 + " HTTP/1.1",
        "GET http://[/ HTTP/1.1",
    ]
    + [
        "GET http://127.0.0.1/moto-api/reset HTTP/1.1",
        "GET " + "/" * 200_000 + " HTTP/1.1",
        "CONNECT evil:443 HTTP/1.1",
    ],
    ids=["digits", "digits in a path", "half an address", "an address", "slashes", "a tunnel"],
)
def test_a_request_line_is_refused_before_it_costs_time(server: process.Server, line: str) -> None:
    """waitress's pattern takes hours for the first, in the one thread that reads."""
    answer = quickly(
        server, f"{line}\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.split(b" ")[1] in (b"400", b"431", b"403"), answer[:100]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"]


@pytest.mark.parametrize(
    "header",
    [
        "Authorization: " + "Credential=" * 5000,
        "Content-Length: " + "9" * 60_000,
        "X: " + "y" * 100_000,
    ]
    + ["Authorization: AWS4 Credential=" + "K/1/" * 12_000],
    ids=["credentials", "a length", "a long header", "scopes"],
)
def test_a_header_is_refused_before_it_costs_time(server: process.Server, header: str) -> None:
    answer = quickly(
        server,
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: "
        f"close\r\n{header}\r\n\r\n".encode(),
    )
    assert answer.split(b" ")[1] in (b"400", b"403", b"431"), answer[:100]


def test_a_number_of_very_many_digits_costs_no_time(api: tuple[process.Server, str]) -> None:
    server, path = api
    body = b'{"CRIM": ' + b"9" * 250_000 + b"}"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
        f"{len(body)}\r\n\r\n"
    )
    assert b"InvalidInput" in quickly(server, head.encode() + body)


@pytest.mark.parametrize("length", ["abc", "1e3", "5000000000"])
def test_nobody_is_asked_for_a_body_that_is_not_read(
    api: tuple[process.Server, str], length: str
) -> None:
    server, path = api
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
        f"{length}\r\n\r\n"
    )
    assert raw(server, head.encode()).split(b" ")[1] in (b"400", b"413")


def test_a_stranger_s_body_is_not_read(server: process.Server) -> None:
    """Neither kept on the disk: it would be refused whatever it says."""
    for headers, status in (("", b"413"), (f"Authorization: {signed(server)}\r\n", b"")):
        head = (
            f"PUT /bucket/key HTTP/1.1\r\nHost: "
            f"127.0.0.1:{server.port}\r\n{headers}Content-Length: 1000000\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=2) as connection:
            connection.sendall(head.encode())
            try:
                assert connection.recv(100).split(b" ")[1] == status
            except TimeoutError:
                assert status == b""  # it waits for the body of whoever has the key


def test_a_refused_client_that_goes_on_sending_reads_why(api: tuple[process.Server, str]) -> None:
    """Closing a connection that still receives would reset it, and take the answer away."""
    server, path = api
    rest = 12 * 1024 * 1024
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {rest}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head)
        time.sleep(0.2)  # long enough for the refusal to be under way
        for _ in range(rest // 65536):
            connection.sendall(b" " * 65536)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 413 ") and answer.endswith(
        b'{"message": "Request Entity Too Large"}'
    ), answer


@pytest.mark.parametrize(
    "chunk", [b"2;" + b"a" * 10_000, b"0\r\n" + b"x: y\r\n" * 20_000], ids=["line", "trailer"]
)
def test_a_chunk_s_line_is_bounded(api: tuple[process.Server, str], chunk: bytes) -> None:
    server, path = api
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head + chunk)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_the_answer_to_head_has_no_body(api: tuple[process.Server, str]) -> None:
    server, path = api
    for target in (path, "/"):
        answer = raw(
            server,
            f"HEAD {target} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            "Connection: close\r\n\r\n".encode(),
        )
        assert answer.partition(b"\r\n\r\n")[2] == b"", answer


def test_connections_that_send_half_make_room_for_others() -> None:
    """More of them than the server takes: the oldest go first, and nobody is shut out."""
    server = make_server(
        lambda environ, start: (start("200 OK", [("Content-Length", "2")]), [b"ok"])[1],
        lambda path, headers: 100,
        host="127.0.0.1",
        port=0,
        threads=2,
        connection_limit=20,
        asyncore_use_poll=True,
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    half = []
    for _ in range(60):
        half.append(socket.create_connection(("127.0.0.1", server.effective_port)))
        half[-1].sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx")
    connection = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"ok"
    began = time.time() - REQUEST_S - 1
    for channel in list(server.active_channels.values()):
        channel.began = min(channel.began, began)
    server.trigger.pull_trigger(
        lambda: server.maintenance(time.time())
    )  # in the thread that owns the connections
    end = time.monotonic() + 10
    while any(channel.request is not None for channel in list(server.active_channels.values())):
        assert time.monotonic() < end
        time.sleep(0.05)
    clients: list[socket.socket | http.client.HTTPConnection] = [*half, connection]
    for client in clients:
        client.close()
    server.trigger.pull_trigger(server.close)  # the loop ends when nothing is open any more
    thread.join(10)
    assert not thread.is_alive()
    server.task_dispatcher.shutdown()


def test_a_record_with_another_key_is_told(deployed: Path) -> None:
    record = process.folder(deployed) / process.RECORD
    kept = record.read_text()
    record.write_text(json.dumps({**json.loads(kept), "access_key": "LKIAOTHER"}))
    try:
        ran = deploy(deployed, "env", "--local", code=1)
    finally:
        record.write_text(kept)
    assert "defect" not in ran.err
    assert "does not accept the key in its server.json" in ran.err and "--force" in ran.err


def test_a_record_with_an_impossible_process_is_no_defect(tmp_path: Path) -> None:
    home = process.folder(tmp_path)
    with hold(home):  # as a server does
        record = {"pid": 1e999, "port": 1, "access_key": "LKIA", "secret_key": "x"}
        (home / process.RECORD).write_text(json.dumps(record))
        assert "defect" not in deploy(tmp_path, "env", "--local", code=1).err
