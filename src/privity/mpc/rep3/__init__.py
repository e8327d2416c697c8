"""The protocol for three parties: replicated secret sharing; a page each for its operations."""

from .cost import Link as Link
from .protocol import Rep3 as Rep3
from .protocol import Replicated as Replicated
