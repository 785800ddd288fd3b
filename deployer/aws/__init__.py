"""Access to AWS: the only user of boto3."""
