"""API Gateway: an HTTP API with its integration, route and stage, as one kind of resource.

`http_api` is the kind; `integration`, `routes`, `stage` and `cors` hold the fields and the calls of
its parts, `calls` the ways of calling that they share.
"""
