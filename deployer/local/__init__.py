"""An AWS that runs on this machine: moto's server, and the data plane that moto lacks.

`process` starts, finds and ends it; the command line knows nothing else of it. `server` is the
background process itself. `webserver` reads HTTP, `guard` decides who is answered, and `gateway`
routes requests to `http_api`, `rest_api`, `lambda_api`, `workflow` and `control_plane`. `vtl`
evaluates the mapping templates of REST APIs. `functions` runs images under AWS's own runtime
client, one `environment` for each version. `moto_backend` alone imports moto. The rest of the
deployer cannot tell this from AWS.

`runtime.py` runs as a script, so this folder comes first on its sys.path: no module here may be
named like one of the standard library.
"""
