"""moto, the control plane of the local AWS; no other package imports it.

`application` loads its server, `account` reads and changes the account that it holds, `interpreter`
runs state machines, and `mends` puts right the operations that differ from AWS. All of these import
moto when they are called: it takes a second.
"""
