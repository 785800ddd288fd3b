"""Function images: building them, and pushing them to ECR.

The image tag is a hash of everything that goes into the image. If ECR has the tag, nothing is built
or pushed. `context` computes the hash, `dockerfile` parses the Dockerfile, `build` chooses between
the builders `engine` and `direct`, `ecr` pushes.
"""
