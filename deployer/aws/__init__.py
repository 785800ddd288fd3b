"""Access to AWS. Only this package imports boto3."""
