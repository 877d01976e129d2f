"""Texts that a page might take for more than texts: markup, scripts, quotes, other directions, nothing, very much."""

MARKER = "hostile"
"""In every element and call that the texts would make, so that one is found; nothing of the project has this name."""
TEXTS = {
    "script": f"<script>{MARKER}()</script>",
    "end of script": f"</script><script>{MARKER}()</script>",
    "comment": f"<!--<script>{MARKER}()",
    "handler": f"<img id={MARKER} src=x onerror={MARKER}()>",
    "svg": f"<svg id={MARKER} onload={MARKER}()><style>*{{display:none}}</style></svg>",
    "attribute": f"\" autofocus onfocus={MARKER}() id={MARKER} x=\"",
    "attribute, single": f"' onmouseover={MARKER}() id={MARKER} x='",
    "ends": f"</p></td></dd></li></title></style></textarea></details><b id={MARKER}>bold</b>",
    "entities": "&lt;b&gt; &amp;amp; &#x3c;i&#x3e; &nbsp; &copy",
    "frame": f"<iframe id={MARKER} src=\"javascript:{MARKER}()\"></iframe>",
    "refresh": f"<meta id={MARKER} http-equiv=refresh content=\"0;url=data:text/html,x\"><base href=//x>",
    "template": f"{{{{ {MARKER} }}}} {{% raw %}} ${{{MARKER}()}} {{refresh_tag}}",
    "markdown": f"[x](javascript:{MARKER}()) ![y](z) **b** _i_ `c` ~~s~~ $m$ <https://{MARKER}.example> a | b \\ # h",
    "override": "abc \u202eright to left\u202c \u202eand not ended",
    "isolate": "\u2067not ended \u2066twice",
    "Hebrew and Arabic": "\u05d0\u05d1\u05d2 1, 2 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 (3)",
    "zero width": "zero\u200bwidth\u200d\u2060\ufeff here",
    "marks": "Z\u0301\u0323\u0335\u0337\u0338a\u0321l\u0322g\u0334o\u0489",
    "controls": "bell\x07 escape\x1b[31m delete\x7f next\x0bline\x0c",
}  # fmt: skip
"""By what they try."""
HUGE = "W" * 5_000 + f"<b id={MARKER}>" + "\u05d0" * 5_000 + " \U0001f469\u200d\U0001f680" * 500
"""A text without a place to break it, and with very many."""
FILE_NAME = f"'\"><img id={MARKER} src=x onerror={MARKER}()>\u202e&amp;.json"
