"""Print the verdict and the headline metrics of the last run, and where its report is: `python -m apps.result`."""

from lib.core.files import read_json
from lib.core.params import ROOT
from lib.core.run import run
from lib.report.headline import terminal_lines

EVALUATE = "metrics/evaluate.json"
REPORT = "report/index.html"


def main() -> None:
    path = ROOT / EVALUATE
    if not path.is_file():
        raise FileNotFoundError(f"{EVALUATE} is absent; `make run` (or `dvc repro`) writes it")
    print("\n".join([*terminal_lines(read_json(path)), f"report: {REPORT}"]))


if __name__ == "__main__":
    run(main)
