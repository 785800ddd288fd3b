"""What clients see of a service: its description in OpenAPI, and a page to try it.

Both are made of the user's folder alone: `reading` collects what they need, `schemas` and `results`
describe requests and answers, `responses` the HTTP answers of both kinds of API, `security` who may
call. `openapi` puts the document together, `page` the page; `files` writes both.
"""
