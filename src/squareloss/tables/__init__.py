"""One schema a Parquet table: `schema` holds the machinery, each other module one table.

Kept apart so that a new column in one table does not mark the jobs that write another as outdated.
"""
