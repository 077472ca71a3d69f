"""Tables: from a file or a data frame to the numbers of a model, and back."""

from kvae.tables.column import Column as Column
from kvae.tables.files import is_table as is_table
from kvae.tables.files import read_table as read_table
from kvae.tables.files import write_parts as write_parts
from kvae.tables.files import write_table as write_table
from kvae.tables.find_kind import TooManyLevels as TooManyLevels
from kvae.tables.schema import Schema as Schema
