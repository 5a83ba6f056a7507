"""Update the output of commands in README and docs/: .venv/bin/python -m tools.gen_output.

Run it when examples/recordings or the output of a command changes.
"""

from __future__ import annotations

from tests.documented import BLOCK, DOCUMENTS, output


def main() -> None:
    """Rewrite the documents that show outdated output."""
    for document in DOCUMENTS:
        before = document.read_text(encoding="utf-8")
        after = BLOCK.sub(lambda m: f"```\n$ {m['command']}\n{output(m['command'])}```", before)
        if after != before:
            document.write_text(after, encoding="utf-8")
            print("written:", document.name)


if __name__ == "__main__":
    main()
