"""What a trained model takes and gives, concluded in a process of its own.

A file that cannot be loaded may take its process along, and a model may print what it likes, so
`program.py` runs beside `add`, reads a job and writes a report, both JSON. Imports nothing of
deployer; `inputs` and `outputs` are modules of the project's lambda_src/.
"""
