"""An AWS that runs on this machine: moto's server, and the data plane that it lacks.

`process` starts, finds and ends it; that is all that the command line knows. `server` is the
background process itself; `gateway` answers HTTP APIs, `workflow` runs state machines, `functions`
runs images of functions under AWS's own runtime client, `moto_gaps` mends what moto gets wrong.
Nothing of the deployer knows that it talks to this and not to AWS.
"""
