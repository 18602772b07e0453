"""The state of what is sharded over ranks, as it would be in a run that is not.

Checkpoints made of it hold whole tensors: one process can load them, and so can any
number of ranks.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, distributed
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from dlcoder.templates.components.engine.run_state import Stateful


class WholeState:
    """A model, an average or an optimizer whose state is gathered and shared out.

    Args:
        part: What has a state, sharded or not.
    """

    def __init__(self, part: Stateful) -> None:
        self.part = part

    def state_dict(self) -> dict[str, Any]:
        """Return whole tensors on rank 0, and none elsewhere. All ranks take part."""
        state: dict[str, Any] = _gathered(self.part.state_dict())
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take this rank's share of a whole state. All ranks take part."""
        layout = self.part.state_dict()
        if isinstance(self.part, Optimizer):
            # It may have no state yet: what it knows of a weight is laid out alike.
            groups = self.part.param_groups
            weights = [weight for group in groups for weight in group["params"]]
            known = state["state"]
            layout = {"state": {n: dict.fromkeys(known[n], weights[n]) for n in known}}
        self.part.load_state_dict(_shared_out(state, layout))


def whole_states(parts: Mapping[str, Stateful]) -> dict[str, Stateful]:
    """Return parts of a run that have whole states."""
    return {name: WholeState(part) for name, part in parts.items()}


def _gathered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _gathered(item) for key, item in value.items()}
    if not isinstance(value, DTensor):
        return value
    whole = value.full_tensor()
    # One rank keeps it: a node may have no room for a copy a rank.
    return whole.cpu() if distributed.get_rank() == 0 else None


def _shared_out(value: Any, layout: Any) -> Any:
    """Shard the tensors of `value` as what `layout` has in their places."""
    if isinstance(value, dict) and isinstance(layout, dict):
        return {key: _shared_out(item, layout.get(key)) for key, item in value.items()}
    if not (isinstance(value, Tensor) and isinstance(layout, DTensor)):
        return value
    # Beside the moments of a weight there is a number: that of its updates.
    if value.shape != layout.shape:
        return value
    return distribute_tensor(value, layout.device_mesh, layout.placements)
