"""Run by test_training under torchrun: the same training as there, in as many processes as there are."""

import sys
from pathlib import Path

from safetensors.torch import save_file

from lib.core.params import Lora
from lib.edits.adapter import new_adapter
from lib.methods.training.loop import train
from lib.runtime.distributed import process_group
from tests.helpers.models import TARGETS, tiny_model
from tests.lib.methods.test_training import EXAMPLES, schedule

if __name__ == "__main__":
    with process_group() as processes:
        model = tiny_model("llama")
        adapter = new_adapter(model, Lora(r=4, alpha=8.0, targets=TARGETS["llama"]), seed=0)
        with adapter.attached(model):
            train(model, adapter.parameters(), EXAMPLES, schedule(), processes, lambda steps: steps)
        if processes.is_main:
            save_file(
                {str(i): parameter.detach() for i, parameter in enumerate(adapter.parameters())}, Path(sys.argv[1])
            )
