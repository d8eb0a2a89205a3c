"""Stock clients: an upload that is refused at once, and plain round trips."""

from __future__ import annotations

import http.client
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import requests
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.gateway_http.harness import echo, get, read_until, reject, running, status_of


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    return path


@pytest.mark.parametrize("options", [[], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"]])
async def test_curl_sees_an_early_refusal(large_file: Path, options: list[str]) -> None:
    async with running(reject) as server:
        url = f"http://127.0.0.1:{server.port}/x"
        command = ["curl", "-sS", "-T", str(large_file), *options, "-w", "%{http_code}", url]
        result = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert result.stdout == b"no\n403", result.stderr


async def test_requests_sees_an_early_refusal(large_file: Path) -> None:
    def put(url: str) -> tuple[int, str]:
        with large_file.open("rb") as file, requests.Session() as session:
            session.trust_env = False
            answer = session.put(url, data=file, timeout=20)
            return answer.status_code, answer.text

    async with running(reject) as server:
        assert await trio.to_thread.run_sync(put, f"http://127.0.0.1:{server.port}/x") == (403, "no\n")


async def test_the_standard_library_reuses_its_connection() -> None:
    def talk(port: int) -> list[bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        answers = []
        for body in (b"a" * 10, b"b" * 1_000_000, iter([b"c", b"d"])):
            connection.request("PUT", "/x", body, encode_chunked=False)
            answers.append(connection.getresponse().read())
        connection.close()
        return answers

    async with running(echo) as server:
        assert await trio.to_thread.run_sync(talk, server.port) == [b"a" * 10, b"b" * 1_000_000, b"cd"]


async def test_curl_round_trip(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(range(256)) * 4000)
    async with running(echo) as server:
        url = f"http://127.0.0.1:{server.port}/x"
        command = ["curl", "-sS", "-T", str(tmp_path / "in"), "-o", str(tmp_path / "out"), url]
        await trio.run_process(command, capture_stderr=True)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "in").read_bytes()


async def test_starlette_runs_on_it() -> None:
    async def numbers() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d," % number

    async def stream(request: Request) -> Response:
        return StreamingResponse(numbers())

    async def double(request: Request) -> Response:
        return JSONResponse((await request.json()) * 2)

    app = Starlette(routes=[Route("/stream", stream), Route("/double", double, methods=["POST"])])
    async with running(app) as server, await server.connect() as connection:
        await connection.send_all(get("/stream"))
        assert b"Transfer-Encoding: chunked" in await read_until(connection, b"2,\r\n0\r\n\r\n")
        await connection.send_all(b"POST /double HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n[1]")
        assert status_of(await read_until(connection, b"[1,1]")) == 200
