"""Function images: what identifies one, and how one comes into ECR.

An image's identity is the hash of all that goes into it, and that hash is its tag: when ECR has the
tag, nothing is built or pushed. `context` hashes a folder, `dockerfile` reads what its Dockerfile
says, `layers` makes the parts, `registry` pushes.
"""
