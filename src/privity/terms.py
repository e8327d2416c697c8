"""Terms under which shares were saved: whose data is in them, and what holds wherever they are used.

Where a number comes from is not followed through a program, so terms are those of the whole session that saved: all
owners that brought anything, the minimum group it had, and the parties that may ever be told anything of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from .errors import ConfigError, OpeningRefused

Parties = dict[str, str]
"""Name -> fingerprint of its certificate; "" in simulations, where parties are known by their names only."""


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``owners``: whose data it is. ``minimum_group``: of the session. ``to``: who may be told anything of it."""

    owners: Parties
    minimum_group: Annotated[int, msgspec.Meta(ge=0)]
    to: Parties

    def check(self, what: str, parties: Mapping[str, str], minimum_group: int, listed: Sequence[str] | None) -> None:
        """Raises ConfigError or OpeningRefused unless a session may use it.

        ``parties``: all of the session. ``listed``: those to which it may still open something; None: no list.
        """
        for owner, fingerprint in self.owners.items():
            if owner not in parties:
                raise ConfigError(
                    f"{what} holds data of {', '.join(self.owners)}, and {owner} is no party of this session: expected "
                    "all of them, since each has to agree to the job. Add them to the consortium, or train again"
                )
            if parties[owner] != fingerprint:
                raise ConfigError(
                    f"{what} holds data of {owner} with the certificate {fingerprint[:23]}, in this session {owner} "
                    f"has {parties[owner][:23]}: another party of that name, or a new certificate. Train again"
                )
        if minimum_group < self.minimum_group:
            raise ConfigError(
                f"{what} was saved where no group of fewer than {self.minimum_group} rows may be opened, this session "
                f"opens groups of {minimum_group}; expected minimum_group = {self.minimum_group} or more in the job"
            )
        extra = [name for name in listed or () if not self._may_hear(name, parties)]
        if extra:
            raise OpeningRefused(
                f"{what} may be opened to {self.receivers}, and this job lists openings to {', '.join(extra)} too; "
                "nothing was loaded. Make these openings before the loading or in a job of their own, or save the "
                "model with to="
            )

    def check_opening(self, name: str, receivers: Sequence[str], parties: Mapping[str, str]) -> None:
        """Raises OpeningRefused if anything that the session opens may not go there."""
        extra = [r for r in receivers if not self._may_hear(r, parties)]
        if extra:
            raise OpeningRefused(
                f"the opening {name!r} may not go to {', '.join(extra)}: this session has loaded what may be opened to "
                f"{self.receivers} only; nothing was sent"
            )

    @property
    def receivers(self) -> str:
        """Names of those that may be told."""
        return ", ".join(self.to) or "nobody"

    def _may_hear(self, name: str, parties: Mapping[str, str]) -> bool:
        return name in self.to and self.to[name] == parties.get(name)
