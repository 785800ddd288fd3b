"""CloudWatch."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

_FILE = "service/metrics.py"
MUTATIONS = [
    Mutation("Cw-1", _FILE, "_MOST_QUERIES = 500", "_MOST_QUERIES = 5000"),
    Mutation("Cw-2", _FILE, 'sum if query.statistic == "Sum" else max', "sum"),
    Mutation("Cw-3", _FILE, '"filterPattern": _COLD,', '"filterPattern": "",'),
    Mutation("Cw-4", _FILE, "throttled = int(throttles or 0)", "throttled = 0"),
    Mutation("Cw-5", "resources/apigateway/rest_api.py", '"4XXError", "5XXError"', '"4xx", "5xx"'),
    Mutation("Cw-6", _FILE, "for _ in range(_PAGES):", "for _ in range(10_000):"),
]
