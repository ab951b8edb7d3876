"""Every distinct network compiled; networks with their activations recomputed."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import nn

import actionlib
from actionlib.errors import RecipeError
from actionlib.models.recompute import recompute_blocks
from actionlib.objective import training_loss
from tests.zoo.test_entries import DISTINCT, LABELS, small_input


def _gradients(model: nn.Module, name: str, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of the loss that the entry is trained with."""
    model.zero_grad(set_to_none=True)
    training_loss(model, x, LABELS, actionlib.model_info(name).recipe)[0].backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture(scope="module")
def compiler_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new one: PyTorch's own keeps libraries that a killed process wrote half, and fails at them from then on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        yield


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTINCT)
def test_compiled(name: str, compiler_cache: None) -> None:
    """One graph, without a break, and the same numbers; those of an auxiliary classifier too."""
    torch.manual_seed(0)
    torch.compiler.reset()
    model = actionlib.create_model(name, num_classes=5, dropout=0.0).eval()
    x = small_input(name)
    weighed = actionlib.model_info(name).recipe.auxiliary_weight > 0
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True)
        for options in [{}, {"auxiliary": True}] if weighed else [{}]:
            torch.testing.assert_close(compiled(x, **options), model(x, **options), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["slowonly_r50_8x8", "tsm_r50_8f_k400", "tpn_r50_f8s8"])
def test_recomputed_blocks_give_the_same_gradients_and_statistics(name: str) -> None:
    torch.manual_seed(0)
    plain = actionlib.create_model(name, num_classes=5, dropout=0.0).train()
    again = copy.deepcopy(plain)
    assert recompute_blocks(again) == 3 + 4 + 6 + 3
    x = torch.randn(2, 3, 4, 32, 32)
    wanted, found = _gradients(plain, name, x), _gradients(again, name, x)
    assert wanted.keys() == found.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, msg=lambda text, name=name: f"{name}: {text}")
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(dict(again.named_buffers())[name], buffer)
    assert plain.state_dict().keys() == again.state_dict().keys()


def test_recomputing_keeps_less() -> None:
    """Bytes that autograd keeps for the backward pass."""
    kept = []
    for recompute in (False, True):
        model = actionlib.create_model("slowonly_r50_8x8", num_classes=5, dropout=0.0).train()
        if recompute:
            recompute_blocks(model)
        weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
        total: dict[int, int] = {}

        def pack(tensor: torch.Tensor, weights=weights, total=total) -> torch.Tensor:  # type: ignore[no-untyped-def]
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                total[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            logits = model(torch.randn(1, 3, 4, 64, 64))
        kept.append(sum(total.values()))
        del logits
    assert kept[1] < 0.4 * kept[0]


def test_a_network_without_blocks_is_refused() -> None:
    with pytest.raises(RecipeError, match="no residual blocks"):
        recompute_blocks(actionlib.create_model("tsn_vgg16_seg3_ucf101_gcvmx", num_classes=2))
