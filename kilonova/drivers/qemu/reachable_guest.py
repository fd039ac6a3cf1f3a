"""A guest that can be reached from inside: by QEMU's agent, where its image says that there is one."""

from kilonova.domain.states import PowerState
from kilonova.drivers.instances.passwords import require_agent
from kilonova.drivers.qemu.agent import set_password
from kilonova.drivers.qemu.guest import Guest, not_running


class ReachableGuest(Guest):
    """Its verbs come one at a time, as a guest's do."""

    def set_password(self, password: str) -> None:
        """Have the agent inside set it. Raises GuestFailure, also where the guest stands still."""
        definition, machine = self._require_definition(), self._machine
        if machine is None or machine.state is not PowerState.RUNNING:
            raise not_running(self.power)
        require_agent(definition)
        set_password(machine, self.directory, definition.admin_user, password)
