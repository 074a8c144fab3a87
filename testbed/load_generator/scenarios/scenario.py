from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from testbed.load_generator.errors import LoadGeneratorError, NoResponseError, UnexpectedResponseError
from testbed.load_generator.population import ADMINISTRATOR, country_of
from testbed.load_generator.state import State


@dataclass(frozen=True)
class Target:
    """What a scenario acts on.

    Attributes:
        state: State of the load generator.
        admin_token: Token of the service's admin API.
        vault_url: URL of the Vault to seal, if any.
        vault_token: Token and unseal key of that Vault.
    """

    state: State
    admin_token: str
    vault_url: str | None = None
    vault_token: str | None = None

    async def administer(self, route: str, body: object, *, action: str, path: str | None = None) -> None:
        """Call the service's admin API, which records `action` in the audit log.

        Raises:
            LoadGeneratorError: No response, or an error status.
        """
        try:
            await self.state.http.send(
                "POST", route, expect=(202, 204), path=path, address=ADMINISTRATOR, token=self.admin_token, body=body
            )
        except (NoResponseError, UnexpectedResponseError) as error:
            raise LoadGeneratorError(str(error)) from error
        self.state.expected.authentication("token", success=True, country=country_of(ADMINISTRATOR))
        self.state.expected.audit(action, success=True)


class Scenario(NamedTuple):
    """A fault scenario.

    Attributes:
        name: Name on the command line.
        help: Description on the command line.
        run: Runs the scenario for a number of seconds.
    """

    name: str
    help: str
    run: Callable[[Target, float], Awaitable[None]]
