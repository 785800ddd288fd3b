"""API Gateway: two kinds of API, each with its parts as one kind of resource.

`apis` holds what both share. `http_api` is the kind of HTTP APIs; `integration`, `routes`, `stage`
and `cors` hold the fields and the calls of its parts, `calls` the ways of calling. `rest_api` is
the kind of REST APIs; its parts are in `rest_definition` and `rest_stage`, its ways of calling in
`rest_calls`.
"""
