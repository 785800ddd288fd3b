#!/bin/sh
# As AWS's base images start: under the runtime interface emulator, unless a real Runtime API is there.
if [ -z "$AWS_LAMBDA_RUNTIME_API" ]; then
    exec /usr/local/bin/aws-lambda-rie --runtime-interface-emulator-address "${RIE_ADDRESS:-0.0.0.0:8080}" \
        /usr/bin/python3 -m awslambdaric "$@"
fi
exec /usr/bin/python3 -m awslambdaric "$@"
