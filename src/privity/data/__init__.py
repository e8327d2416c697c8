"""An owner's side of a table: what the consortium agreed it looks like, and reading it from where it lies."""

from privity.data.schema import Column, TableSchema
from privity.data.tables import OwnerTable, read_table

__all__ = ["Column", "OwnerTable", "TableSchema", "read_table"]
