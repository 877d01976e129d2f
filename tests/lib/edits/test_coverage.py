"""What an adapter's targets leave out of a model's linear weights."""

from lib.core.params import Lora
from lib.edits.adapter import target_modules
from lib.edits.coverage import coverage
from tests.helpers.families import family_model
from tests.helpers.models import tiny_model


def test_a_gpt2_adapter_on_every_linear_module_leaves_nothing_out() -> None:
    model = tiny_model("gpt2")
    lora = Lora(r=2, alpha=2, targets=["c_attn", "c_proj", "c_fc"])
    left = coverage(model, target_modules(model, lora))
    assert (left.left_out, left.experts) == (0, ())
    assert left.linear == 2 * (32 * 96 + 32 * 32 + 2 * 32 * 128)


def test_the_routed_experts_of_qwen2_moe_are_named() -> None:
    model = family_model("qwen2_moe")
    attention = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    left = coverage(model, target_modules(model, Lora(r=2, alpha=2, targets=attention)))
    assert left.experts == ("gate_up_proj", "down_proj")
    # a layer: 4 experts of 3 matrices 32 x 24, and routers of 4 and of 1 rows
    assert left.left_out in (2 * (4 * 3 * 32 * 24), 2 * (4 * 3 * 32 * 24 + 32), 2 * (4 * 3 * 32 * 24 + 5 * 32))
    assert "routed experts (gate_up_proj, down_proj)" in str(left)
    assert 0 < left.share_left_out < 1
