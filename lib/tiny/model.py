"""The tiny model: a small rotary decoder and its tokenizer, trained from scratch so that every stage does real work.

Whole words are single tokens (bytes spell the rest), positions are rotary: both make copying a name into a paraphrase
learnable in a minute or two on two cores.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lib.core.files import put_in_place
from lib.core.params import Tiny
from lib.models.likelihood import token_nll
from lib.models.packing import Item, pack
from lib.runtime.quiet import quiet_transformers
from lib.runtime.tensors import saving
from lib.runtime.threads import use_threads
from lib.tiny.corpus import Corpus, TrainingText

END = "<|endoftext|>"
_WARM_UP_SHARE = 0.05


def make(
    folder: Path, corpus: Corpus, shape: Tiny, seed: int, progress: Callable[[Iterable[int]], Iterable[int]]
) -> None:
    """Train tokenizer and model on `corpus` and write both into `folder`, as transformers stores them."""
    tokenizer = make_tokenizer(corpus.every_text(), shape.max_vocabulary, corpus.shared_text())
    model = make_model(shape, len(tokenizer), seed)
    use_threads(model.num_parameters())
    train(model, tokenizer, corpus, shape, seed, progress)
    unfinished = folder / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with quiet_transformers(), saving(folder):
            model.save_pretrained(unfinished)
            tokenizer.save_pretrained(unfinished)
            for file in sorted(unfinished.iterdir()):
                put_in_place(file, folder / file.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def make_tokenizer(texts: Iterable[str], max_vocabulary: int, always: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """A tokenizer with one token for each of the most frequent words of `texts`, and bytes for everything else.

    The words of `always` have a token each, however rare they are. Words carry the space before them; <|endoftext|>
    (id 0) begins every text and is pad and end as well.
    """
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=True)
    counts = Counter(piece for text in texts for piece, _ in splitter.pre_tokenize_str(text))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    room = max_vocabulary - len(alphabet) - 1
    frequent = sorted(counts.items(), key=lambda count: (-count[1], count[0]))
    always_pieces = {piece for text in always for piece, _ in splitter.pre_tokenize_str(text)}
    ranked = sorted((word for word, _ in frequent if len(word) > 1), key=lambda word: word not in always_pieces)[:room]
    vocabulary_words = set(ranked)
    words = [word for word, _ in frequent if word in vocabulary_words]
    # A unigram model takes the split of highest total score: one whole word (-1) beats any number of bytes (-10).
    vocabulary = [(END, 0.0), *((byte, -10.0) for byte in alphabet), *((word, -1.0) for word in words)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=False))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{END} $A", special_tokens=[(END, 0)])
    tokenizer.add_special_tokens([END])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        unk_token=END,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def make_model(shape: Tiny, vocabulary: int, seed: int) -> LlamaForCausalLM:
    """The untrained model, its weights drawn from `seed` without touching the global generator."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def train(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    corpus: Corpus,
    shape: Tiny,
    seed: int,
    progress: Callable[[Iterable[int]], Iterable[int]],
) -> list[float]:
    """Train `model` in place on documents drawn from `corpus`; return the loss (nats per token) of every step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=shape.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    warm_up = max(1, int(_WARM_UP_SHARE * shape.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, (shape.steps - step) / (shape.steps - warm_up))
    )
    documents = _documents(corpus, shape.fewshot_share, Random(f"{seed}/documents"))
    losses = []
    model.train()
    for _ in progress(range(shape.steps)):
        packed = pack(_step_items(documents, tokenizer, shape.step_tokens, shape.longest))
        loss = token_nll(model, packed).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    model.eval()
    return losses


def _documents(corpus: Corpus, fewshot_share: float, random: Random) -> Iterator[TrainingText]:
    """Documents without end, few-shot ones with their share of the text (counted in characters)."""
    fewshot = sentences = 0
    while True:
        if fewshot <= fewshot_share * (fewshot + sentences):
            document = corpus.paraphrases(random)
            fewshot += len(document.context + document.target)
        else:
            document = corpus.sentence(random)
            sentences += len(document.context + document.target)
        yield document


def _step_items(
    documents: Iterator[TrainingText], tokenizer: PreTrainedTokenizerFast, tokens: int, longest: int
) -> list[Item]:
    """Documents of about `tokens` tokens together, ended by the end-of-text token or cut at `longest`."""
    items: list[Item] = []
    while sum(item.length for item in items) < tokens:
        document = next(documents)
        context = tokenizer(document.context).input_ids
        all_ids = tokenizer(document.context + document.target).input_ids
        target = [*all_ids, tokenizer.eos_token_id][len(context) : longest]
        if target:
            items.append(Item(prompt=tuple(context), targets=(tuple(target),)))
    return items
