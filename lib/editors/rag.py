"""RAG: edits as notes, retrieved for a prompt and stated before it; no weight changed (arXiv 2505.18690).

The baseline that editors are to beat: a note is an edit's prompt and new object. The notes whose sentence vectors are
most similar to a prompt's, or to that of its last sentence, are stated before it, in IKE's words, where their cosine
reaches the threshold: retrieval is selective, and a prompt that is about no edit stays as it is.
"""

from collections.abc import Sequence

from pydantic import Field
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.params import Section
from lib.core.records import Request
from lib.core.texts import join
from lib.edits.edit import Edit
from lib.edits.notes import Notebook
from lib.methods.context import Context
from lib.methods.contract import Needs

NEEDS = Needs(edit_each=True, sharded=True, weightless=True)


class Settings(Section):
    """configs/editors/rag.yaml"""

    encoder: str = Field(description="as neighbors.encoder: hashing, minilm, or a model by folder or hub name")
    count: int = Field(ge=1, description="notes stated before a prompt, at most; the most similar right before it")
    threshold: float = Field(
        ge=-1, le=1, description="the least cosine of a note stated before a prompt, to it or to its last sentence"
    )


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """The notes of all requests. Raises InputError where there is no request."""
    if not requests:
        raise InputError("rag: wanted at least one request, found none")
    texts = {request.request_id: join(request.prompt, request.target_new, request.separator) for request in requests}
    notes = Notebook(texts=texts, encoder=settings.encoder, count=settings.count, threshold=settings.threshold)
    return Edit(updates={}, notes=notes, info={"editor": "rag", "pairs": len(requests)})


def edit_each(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> list[Edit]:
    """The note of every request alone."""
    return [edit(model, tokenizer, [request], settings, context) for request in requests]
