"""The subcommands that ask a model: ask, chat, serve, demo."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from errata.frame import EditFolder, Folder, Json, act, app, example

Backend = Literal["auto", "vllm", "transformers"]
Fact = Annotated[
    str | None, typer.Option("--fact", help="of an edit in context (ike): the id of the fact asked about (errata list)")
]
Model = Annotated[
    str | None, typer.Option("--model", help="a model alone (preset, folder, GGUF), or where the edited model lies")
]


@app.command(
    epilog=example('errata ask "The capital of France is"', 'errata ask --chat "Who are you?" --model smollm2-135m')
)
def ask(
    prompts: Annotated[list[str], typer.Argument(help="beginnings of sentences; with --chat, questions")],
    model: Model = None,
    edit: EditFolder = None,
    chat: Annotated[bool, typer.Option("--chat", help="ask in the model's chat template")] = False,
    tokens: Annotated[int | None, typer.Option(help="length of the text, in tokens", min=1)] = None,
    fact: Fact = None,
    as_json: Json = False,
) -> None:
    """What the model writes, greedily: before and after the edit, side by side. Works before any edit, too."""

    def action(console: Console) -> Mapping[str, Any]:
        from apps.ask import printed
        from apps.speaking import opened

        speaker = opened(model, edit, fact)
        texts = speaker.before_and_after(prompts, tokens, in_chat=chat)
        console.print(speaker.name, style="dim", markup=False, highlight=False, soft_wrap=True)
        for prompt, (before, after) in zip(prompts, texts, strict=True) if not as_json else ():
            text = printed(prompt, before, after, console.width)
            console.print(text, markup=False, highlight=False, soft_wrap=True)
        rows = [
            {"prompt": prompt, "before": before, "after": after}
            for prompt, (before, after) in zip(prompts, texts, strict=True)
        ]
        return {"asked": speaker.name, "texts": rows}

    act(action, as_json)


@app.command(epilog=example("errata chat", "errata chat --model smollm2-135m"))
def chat(model: Model = None, edit: EditFolder = None, fact: Fact = None) -> None:
    """A conversation before and after the edit, side by side: each side remembers its own answers."""

    def action(console: Console) -> None:
        from apps.chat import chat as converse
        from apps.speaking import opened

        converse(opened(model, edit, fact), console)

    act(action)


@app.command(epilog=example("errata serve corrected --port 8000", "errata serve --backend vllm"))
def serve(
    folder: Folder = None,
    model: Model = None,
    port: Annotated[int, typer.Option(help="on 127.0.0.1; 0 takes a free one", min=0, max=65535)] = 8000,
    backend: Annotated[
        Backend, typer.Option(help="auto: vLLM where it is installed and takes the edit, else transformers")
    ] = "auto",
    fact: Fact = None,
) -> None:
    """Serve the edited model behind the OpenAI protocol on 127.0.0.1, and beside it the model before the edit.

    Models `edited` and `before`; /v1/models, /v1/completions, /v1/chat/completions. Ends with Ctrl-C; started in the
    background of a script, with `kill`.
    """

    def action(console: Console) -> None:
        from apps.serving import serve as serve_what
        from apps.speaking import asked

        def tell(line: str) -> None:
            console.print(line, markup=False, soft_wrap=True)

        serve_what(asked(model, folder, fact), port, backend, tell)

    act(action)


@app.command(epilog=example("errata demo corrected", "errata demo --model smollm2-135m"))
def demo(
    folder: Folder = None,
    model: Model = None,
    port: Annotated[int, typer.Option(help="on 127.0.0.1; 0 takes a free one", min=0, max=65535)] = 7860,
    fact: Fact = None,
) -> None:
    """A page in the browser: ask before and after the edit side by side, or correct one fact and see.

    Needs the package gradio (requirements-demo.txt).
    """

    def action(console: Console) -> None:
        from apps import demo as demonstration
        from apps.speaking import asked, speaker_of
        from errata.library import fix

        demonstration.gradio()
        subject = asked(model, folder, fact)
        speaker = speaker_of(subject)

        def correct(fact: Mapping[str, str]) -> Any:
            return fix(speaker.model, speaker.tokenizer, [fact], preset=subject.preset, pool="almanac").updates

        page = demonstration.Demo(speaker=speaker, correct=correct)
        demonstration.launch(page, port, lambda line: console.print(line, markup=False, soft_wrap=True))

    act(action)
