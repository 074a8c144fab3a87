from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from testbed.load_generator.errors import SimulationError, UnansweredError, UnexpectedAnswerError
from testbed.load_generator.population import ADMINISTRATOR, country_of
from testbed.load_generator.state import State


@dataclass(frozen=True)
class Target:
    """What a scenario operation_types upon.

    Attributes:
        state: The service with its accounts.
        admin_token: Token of its administration.
        vault_url: Address of the Vault that it needs; None when there is none to seal.
        vault_token: Token and unseal key of that Vault.
    """

    state: State
    admin_token: str
    vault_url: str | None = None
    vault_token: str | None = None

    async def administer(self, route: str, body: object, *, action: str, path: str | None = None) -> None:
        """Ask the service's administration for something that its audit log then has under `action`.

        Raises:
            SimulationError: It refuses, or does not answer.
        """
        try:
            await self.state.web.send(
                "POST", route, expect=(202, 204), path=path, address=ADMINISTRATOR, token=self.admin_token, body=body
            )
        except (UnansweredError, UnexpectedAnswerError) as error:
            raise SimulationError(str(error)) from error
        self.state.expected.authentication("token", success=True, country=country_of(ADMINISTRATOR))
        self.state.expected.audit(action, success=True)


class Scenario(NamedTuple):
    """Something that goes wrong.

    Attributes:
        name: Name on the command line.
        help: What happens.
        run: Lets it happen for so many seconds.
    """

    name: str
    help: str
    run: Callable[[Target, float], Awaitable[None]]
