import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from trust_ops.stack import PrometheusClient, QueryError, Sample

_ANSWERS: dict[str, dict[str, Any]] = {
    "/api/v1/query": {
        "one": {"resultType": "vector", "result": [{"metric": {"__name__": "a"}, "value": [1.5, "3"]}]},
        "two": {
            "resultType": "vector",
            "result": [{"metric": {"x": "1"}, "value": [1, "NaN"]}, {"metric": {"x": "2"}, "value": [1, "+Inf"]}],
        },
        "none": {"resultType": "vector", "result": []},
        "scalar": {"resultType": "scalar", "result": [2, "7"]},
        "range": {"resultType": "matrix", "result": []},
    },
    "/api/v1/series": {"up": [{"__name__": "up", "job": "x"}]},
}


class _Prometheus(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        expression = self.rfile.read(int(self.headers["Content-Length"])).decode().split("=")[1]
        data = _ANSWERS[self.path].get(expression)
        if data is None:
            self._answer(400, {"status": "error", "errorType": "bad_data", "error": "parse error"})
        else:
            self._answer(200, {"status": "success", "data": data})

    def _answer(self, status: int, content: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def client() -> Iterator[PrometheusClient]:
    with HTTPServer(("127.0.0.1", 0), _Prometheus) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with PrometheusClient(f"http://127.0.0.1:{server.server_port}") as client:
            yield client
        server.shutdown()
        thread.join()


def test_query_returns_samples(client: PrometheusClient) -> None:
    assert client.query("one") == [Sample({"__name__": "a"}, 3.0, 1.5)]
    assert client.query("scalar") == [Sample({}, 7.0, 2.0)]
    assert client.query("none") == []
    first, second = client.query("two")
    assert math.isnan(first.value)
    assert second == Sample({"x": "2"}, math.inf, 1.0)


def test_value_returns_one_number_or_none(client: PrometheusClient) -> None:
    assert client.value("one") == 3
    assert client.value("scalar") == 7
    assert client.value("none") is None
    with pytest.raises(QueryError, match="two returned 2 series, expected one"):
        client.value("two")


def test_series_returns_label_sets(client: PrometheusClient) -> None:
    assert client.series("up") == [{"__name__": "up", "job": "x"}]


def test_errors_name_the_expression(client: PrometheusClient) -> None:
    with pytest.raises(QueryError, match="nonsense: bad_data: parse error"):
        client.query("nonsense")
    with pytest.raises(QueryError, match="the result of range is a matrix"):
        client.query("range")


def test_unreachable_server_error_names_the_url() -> None:
    with pytest.raises(QueryError, match=r"no response to up from http://127.0.0.1:1"):
        PrometheusClient("http://127.0.0.1:1").query("up")
